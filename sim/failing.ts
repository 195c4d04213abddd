/** What is done with a history that breaks a rule: shrunk, written to a file, told. */
import { join } from "node:path";
import type { Violation } from "../src/core/testing/world.ts";
import { writeHistory } from "./history-file.ts";
import type { History } from "./history.ts";
import { shrink } from "./shrink.ts";
import { tell } from "./story.ts";

export interface Failure {
  name: string;
  rule: string;
  message: string;
  /** Where it can be carried out again from. */
  file: string;
  steps: number;
  story: string;
}

/** Longest time for making one history short, ms. */
const SHRINK_MS = 30_000;

export function keepFailure(name: string, history: History, violation: Violation, folder: string): Failure {
  const until = performance.now() + SHRINK_MS;
  const shrunk = shrink(history, { stop: () => performance.now() > until });
  const file = join(folder, `${name}.json`);
  writeHistory(file, shrunk.history, shrunk.violation.message);
  return { name, rule: violation.rule, message: shrunk.violation.message, file, steps: shrunk.history.steps.length, story: tell(shrunk.history) };
}
