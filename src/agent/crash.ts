/** For tests: the process kills itself around an action, where a crash would hurt most. */
import type { StepHook } from "./ports.ts";

/** `before:KIND` or `after:KIND`; nothing for undefined. */
export function crashHook(moment: string | undefined): StepHook {
  return (when, kind) => {
    if (moment === `${when}:${kind}`) process.kill(process.pid, "SIGKILL");
  };
}
