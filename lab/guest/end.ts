/** Why a guest's machine ended that nobody switched off. Pure. */

/** A guest's machine ended by itself: nothing that the test asked for, and never its result. */
export class GuestEndedError extends Error {}

/** How a process ended: its exit code, or the signal that ended it. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Lines of the console that are shown before the one that names a panic, and after it; or the last ones, if none does. */
const BEFORE = 20;
const AFTER = 30;
const LAST = 40;

/**
 * A machine's end in a sentence, with what the console of its last boot says of it; null for one that went off as a machine does.
 * A kernel that panics says so (kernel/panic.c). A process guest's may also end without that word: a signal, or an exit code that
 * is not 0 (arch/um/os-Linux/skas/process.c: what it cannot go on after ends it as a SIGSEGV would).
 */
export function endOf(said: string, { code, signal }: ProcessEnd): string | null {
  const lines = said.split(/\r?\n/);
  const at = lines.findIndex((line) => line.includes("Kernel panic - not syncing: "));
  if (at !== -1) {
    const reason = lines[at]!.replace(/^.*Kernel panic - not syncing: /, "");
    return `its kernel panicked: ${reason}\n${lines.slice(Math.max(0, at - BEFORE), at + AFTER).join("\n")}`;
  }
  if (code === 0) return null;
  return `its machine ended with ${signal ?? `code ${code}`}, and nobody had switched it off\n${lines.slice(-LAST).join("\n")}`;
}
