/** Runs test files with Node's own runner and counts what it says. */
import type { CommandOptions } from "./command.ts";
import { runNode } from "./command.ts";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface NodeTestResult extends Counts {
  output: string;
  ms: number;
}

/**
 * Each file in a process of its own, `width` at a time. `testMs` bounds one test, `options.limitMs` the whole: a file that
 * leaves a timer or a socket behind never ends by itself, and is a failure.
 */
export async function runNodeTests(files: readonly string[], width: number, testMs: number, options: CommandOptions = {}): Promise<NodeTestResult> {
  if (files.length === 0) return { passed: 0, failed: 0, skipped: 0, output: "", ms: 0 };
  const ended = await runNode(["--test", "--test-reporter=spec", `--test-concurrency=${width}`, `--test-timeout=${testMs}`, ...files], options);
  const counts = readCounts(ended.output);
  const failed = ended.code === 0 ? 0 : Math.max(1, counts.failed);
  return { ...counts, failed, output: ended.output, ms: ended.ms };
}

/** The totals that the reporter prints at its end; a test that was cancelled did not pass. */
export function readCounts(output: string): Counts {
  const total = (name: string) => Number(new RegExp(`^ℹ ${name} (\\d+)$`, "m").exec(output)?.[1] ?? 0);
  return { passed: total("pass"), failed: total("fail") + total("cancelled"), skipped: total("skipped") + total("todo") };
}
