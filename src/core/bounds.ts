/**
 * The waits of takeover and of fresh reads (I3, I4, I10), by name, with defaults and minimums. All in ms of a monotonic
 * clock. What others rely on is the sum in {@link promiseOf}, which an owner writes into the record with its claim.
 */

/** Keep-alive of an import in seconds; a loss is seen after at most twice this (Z7). */
export const KEEP_ALIVE_S = 2;

/**
 * Worst case from the moment a connection is cut to the kernel's showing it: the keep-alive restarts with traffic (Z7), and
 * the time-out of its request is rounded up to a full second (Linux block/blk-timeout.c, blk_add_timer; 4.44 s were measured).
 */
export const DETECT_MS = (2 * KEEP_ALIVE_S + 1) * 1000;

export interface Bounds {
  /** Without proof that it is still the owner for longer than this, an owner suspends its volume (I10). */
  freshGraceMs: number;
  /** Part of the promise for polls, the suspend command, and clocks that do not run at the same rate. */
  fenceMarginMs: number;
  /** A heartbeat that has not changed for longer, without a gap in the observation: its node is silent. */
  leaseGoneMs: number;
  /** A volume that shall be unstaged, and is held or suspended for longer, is stopped by force (I8, I4). */
  unstageHeldMs: number;
  /** A member of R that MD failed by itself and that is not recorded out after this: the volume is suspended until it is (I1). */
  residualMs: number;
  /** A drive of this node that has requests of a volume under way and completes none for longer: it is said (Z21). */
  silentDriveMs: number;
}

export const BOUNDS: Readonly<Record<keyof Bounds, { defaultMs: number; minMs: number }>> = {
  freshGraceMs: { defaultMs: 5_000, minMs: 2_000 },
  fenceMarginMs: { defaultMs: 3_000, minMs: 2_000 },
  // Four heartbeats of 10 s: the least that one lost write and one slow one do not reach.
  leaseGoneMs: { defaultMs: 40_000, minMs: 40_000 },
  unstageHeldMs: { defaultMs: 30_000, minMs: 0 },
  residualMs: { defaultMs: 1_000, minMs: 0 },
  silentDriveMs: { defaultMs: 10_000, minMs: 5_000 },
};

/** Defaults, with what is given in their place; what lies below its minimum is raised to it. */
export function boundsOf(given: Partial<Bounds> = {}): Bounds {
  const names = Object.keys(BOUNDS) as (keyof Bounds)[];
  return Object.fromEntries(names.map((name) => [name, Math.max(given[name] ?? BOUNDS[name].defaultMs, BOUNDS[name].minMs)])) as unknown as Bounds;
}

/** Nothing is served any more this long after the cut of a connection to a member of R, whatever happens to the program (I10). */
export function promiseOf(bounds: Bounds): number {
  return DETECT_MS + bounds.freshGraceMs + bounds.fenceMarginMs;
}
