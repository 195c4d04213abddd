/**
 * The guards of replacement, by name, with defaults and minimums: when a member that is missing is not replaced, or not yet.
 * (`maintenance` is a guard without a number: an annotation of the node, see docs/explanation/healing.md.)
 */
export interface HealingLimits {
  /** While a larger share of the nodes than this has no fresh heartbeat, no replacement begins. */
  maxNodesAway: number;
  /** Most copies that are made or rebuilt at a time with a node as their target, or as the owner that copies. */
  maxRebuildsPerNode: number;
  /** A member whose join was begun and lost so often is given up without waiting for its time-out. */
  maxFailedJoins: number;
  /** The controller itself, by its monotonic clock, has seen a member missing for at least this long (or the time-out, if that is shorter). */
  seenMissingMs: number;
  /** A member that is made and does not join for so long, or for the volume's time-out if that is longer, is given up, though its node is there. */
  neverJoinedMs: number;
  /** A member that was given up, whose node and drive are there again, has this long to come back before it is replaced. */
  returnGraceMs: number;
}

export const HEALING_LIMITS: Readonly<Record<keyof HealingLimits, { default: number; min: number }>> = {
  maxNodesAway: { default: 0.34, min: 0 },
  maxRebuildsPerNode: { default: 2, min: 1 },
  maxFailedJoins: { default: 3, min: 1 },
  seenMissingMs: { default: 60_000, min: 10_000 },
  neverJoinedMs: { default: 900_000, min: 60_000 },
  returnGraceMs: { default: 60_000, min: 10_000 },
};

/** Defaults, with what is given in their place; what lies below its minimum is raised to it. */
export function healingLimitsOf(given: Partial<HealingLimits> = {}): HealingLimits {
  const names = Object.keys(HEALING_LIMITS) as (keyof HealingLimits)[];
  return Object.fromEntries(names.map((name) => [name, Math.max(given[name] ?? HEALING_LIMITS[name].default, HEALING_LIMITS[name].min)])) as unknown as HealingLimits;
}
