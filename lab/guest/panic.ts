/** What a guest's console says of its kernel's end. Pure. */

/** A guest's own kernel gave up: nothing that the test asked for, and never its result. */
export class GuestPanicError extends Error {}

/** Lines of the console that are shown before the one that names the panic, and after it. */
const BEFORE = 20;
const AFTER = 30;

/** The panic in the console of one boot, in a sentence and with the lines around it; null if there is none. Format: kernel/panic.c. */
export function panicIn(said: string): string | null {
  const lines = said.split(/\r?\n/);
  const at = lines.findIndex((line) => line.includes("Kernel panic - not syncing: "));
  if (at === -1) return null;
  const reason = lines[at]!.replace(/^.*Kernel panic - not syncing: /, "");
  return `its kernel panicked: ${reason}\n${lines.slice(Math.max(0, at - BEFORE), at + AFTER).join("\n")}`;
}
