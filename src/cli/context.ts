/** What a command is given: the API, the terminal, the clock. Tests give others. */
import type { KubeClient } from "../kube/client.ts";

export interface Terminal {
  /** Writes to standard output. */
  out(text: string): void;
  /** Writes to standard error. */
  err(text: string): void;
  /** Standard output is a terminal: a line may be written anew. */
  readonly isTerminal: boolean;
  /** Characters in one line of it. */
  readonly columns: number;
  /** Asks a person and returns the line that was typed; null where nobody can be asked. */
  ask(question: string): Promise<string | null>;
}

export interface Context {
  readonly client: KubeClient;
  readonly terminal: Terminal;
  /** Wall clock, ms. */
  now(): number;
}

export type Output = "text" | "json";

/** Prints a line. */
export function say(context: Context, line: string): void {
  context.terminal.out(`${line}\n`);
}

/** Prints a value as JSON, indented. */
export function sayJson(context: Context, value: unknown): void {
  context.terminal.out(`${JSON.stringify(value, null, 2)}\n`);
}
