/** What a set-up step is; helpers of every part of the project add theirs to the registry in main.ts. */

/** The paths a step produced, by name ("kernel", "image", ...). */
export type ResultPaths = Readonly<Record<string, string>>;

/** One thing that must exist before the project's programs can run. */
export interface SetupStep {
  /** Name on the command line. */
  readonly name: string;
  /** One line for people. */
  readonly describe: string;
  /** Makes it exist; cheap when it does already. */
  ensure(): Promise<ResultPaths>;
}
