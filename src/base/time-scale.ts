/**
 * Deadlines of host commands and file accesses can be stretched where the machine itself is slow
 * (emulation, a lab on a loaded machine), so that slowness never looks like a fault: set
 * MESHSTOR_TIME_SCALE to a factor of at least 1. Bounds that the safety protocol states are not stretched.
 */
const factor = Math.max(1, Number(process.env["MESHSTOR_TIME_SCALE"] ?? "1") || 1);

/** `ms`, stretched. */
export function stretched(ms: number): number {
  return ms * factor;
}
