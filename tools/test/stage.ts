/** What one part of the test set brought: a step of the check, the contract tests, or one scenario. */
import type { Counts } from "./node-tests.ts";

export interface StageResult extends Counts {
  name: string;
  ms: number;
  /** Everything it printed. */
  output: string;
  /** One line beside the name in the summary. */
  remark?: string;
  /** Folder with consoles and logs, kept because it failed. */
  artefacts?: string;
}

/** "0.4 s", "12 s", "3 min 20 s". */
export function seconds(ms: number): string {
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  const whole = Math.round(ms / 1_000);
  return whole < 100 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function total(results: readonly Counts[]): Counts {
  const sum = (key: keyof Counts) => results.reduce((all, one) => all + one[key], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

/** The last line of a run, in the form that CI reads. */
export function closingLine(counts: Counts): string {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}
