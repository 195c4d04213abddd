/** What a story says about itself besides passing: `npm run e2e` shows these lines, whatever else a story prints. */

/** The beginning of a line that is shown. */
export const REPORTED = "e2e: ";

/** One line of the story's own: a summary, a figure. */
export function report(line: string): void {
  process.stdout.write(`${REPORTED}${line}\n`);
}

/** The reported lines of a story's output. */
export function reportedLines(output: string): string[] {
  return output
    .split("\n")
    .filter((line) => line.startsWith(REPORTED))
    .map((line) => line.slice(REPORTED.length));
}
