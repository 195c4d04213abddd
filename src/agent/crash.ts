/** For tests: the process kills itself around an action, where a crash would hurt most. */
import { writeSync } from "node:fs";
import type { StepHook } from "./ports.ts";

/** `before:KIND` or `after:KIND`, or several with commas between (the first that comes is the last); nothing for undefined. */
export function crashHook(moments: string | undefined): StepHook {
  const wanted = new Set(moments?.split(","));
  return (when, kind) => {
    const moment = `${when}:${kind}`;
    if (!wanted.has(moment)) return;
    writeSync(2, `crash at ${moment}\n`);
    process.kill(process.pid, "SIGKILL");
  };
}
