/** How `npm test` and `npm run e2e` begin and end: interrupted with all that they started; the last line, "N passed, N failed", is what CI reads. */
import { endAllCommands } from "./command.ts";
import { failuresOf } from "./failures.ts";
import { closingLine, type StageResult, total } from "./stage.ts";
import { summaryTable } from "./summary.ts";

/** Lines that are shown once more at the end of what a failed part said. */
const AT_THE_END = 20;

/** Runs `main` with the words of the command line; its answer is the exit code. */
export async function enter(main: (words: readonly string[]) => Promise<number>): Promise<void> {
  for (const [name, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(name, () => {
      endAllCommands();
      process.exit(code);
    });
  }
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.log(closingLine({ passed: 0, failed: 1, skipped: 0 }));
    process.exitCode = 1;
  }
}

/** Table, failures, `time`, and the closing line; returns the exit code. A run in which nothing passed failed. */
export function conclude(results: readonly StageResult[], time: string): number {
  console.log(`\n${summaryTable(results)}\n`);
  for (const { name, output } of results.filter((result) => result.failed > 0)) console.log(`${name}:\n${failuresOf(output, AT_THE_END)}\n`);
  const counts = total(results);
  console.log(`time ${time}`);
  console.log(closingLine(counts));
  return counts.failed === 0 && counts.passed > 0 ? 0 : 1;
}
