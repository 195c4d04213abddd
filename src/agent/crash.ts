/** For tests: the process kills itself around an action, where a crash would hurt most. */
import { readFileSync, writeSync } from "node:fs";
import type { StepHook } from "./ports.ts";

/** `before:KIND` or `after:KIND`, or `@FILE` with such moments, one a line, read anew at each step; nothing for undefined. */
export function crashHook(wanted: string | undefined): StepHook {
  if (wanted === undefined) return () => {};
  const moments = wanted.startsWith("@") ? () => readFileSync(wanted.slice(1), "utf8").split("\n") : () => [wanted];
  return (when, kind) => {
    const moment = `${when}:${kind}`;
    if (!moments().includes(moment)) return;
    writeSync(2, `crash at ${moment}\n`);
    process.kill(process.pid, "SIGKILL");
  };
}
