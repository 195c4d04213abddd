/** Members that are not waited for any longer. Nothing here is ever in R; what is given up may still come back until another takes its place. Pure. */
import type { PartitionRecord, VolumeStatus } from "../../api/volume.ts";
import { namedInR } from "../record.ts";
import { inMaintenance, tooManyAway } from "./guards.ts";
import type { HealingInput } from "./input.ts";

export interface GivenUp {
  partitions: PartitionRecord[];
  why: string[];
}

/** Every partition that nobody waits for any more, in its next state; what a guard keeps says so. */
export function giveUp(status: VolumeStatus, input: HealingInput): GivenUp {
  const why: string[] = [];
  const partitions = (status.partitions ?? []).map((p) => {
    if (namedInR(status, p.partitionUUID)) return p;
    const { message: _message, progress: _progress, ...rest } = p;
    const reason = overdue(p, input);
    const guard = reason === null ? null : (inMaintenance(input, p.nodeID) ?? tooManyAway(input));
    if (guard !== null) return p.state === "Missing" ? { ...rest, message: `not replaced: ${guard}` } : p;
    if (reason === null) return p.state === "Missing" ? rest : p;
    why.push(`${p.partitionUUID} on node ${p.nodeID} ${reason}`);
    // Never made, so never exported and in no array: nobody but its own node can touch it.
    if (p.state === "Requested" || p.unmade) return { ...rest, state: "Deleting" as const, detached: true, updatedAt: input.now };
    // One that never joined was never whole: nobody shall believe it later (core/override.ts).
    return { ...rest, ...(p.state === "Created" && { half: true }), state: "Faulty" as const, updatedAt: input.now };
  });
  return { partitions, why };
}

/** Why a partition is not waited for any longer, a clause that follows its name; null if it is. */
function overdue(p: PartitionRecord, input: HealingInput): string | null {
  const { limits, nowMs, wallMs } = input;
  const timeoutMs = input.volume.spec.memberMissingTimeout * 1000;
  const seenMs = Math.min(timeoutMs, limits.seenMissingMs);
  const sight = input.sights[p.partitionUUID];
  if (!sight) return null;
  const since = (start: number | null, least: number) => start !== null && nowMs - start >= least;
  const changedMs = wallMs - Date.parse(p.updatedAt);
  switch (p.state) {
    case "Missing":
      if ((p.failedJoins ?? 0) >= limits.maxFailedJoins) return `was lost ${p.failedJoins} times while it was rebuilt`;
      return changedMs >= timeoutMs && since(sight.sinceMs, seenMs) ? `is missing for more than ${timeoutMs / 1000} s` : null;
    case "Created":
      return since(sight.unreadyMs, seenMs) || since(sight.idleMs, Math.max(timeoutMs, limits.neverJoinedMs)) ? "is made and does not join" : null;
    case "Requested":
      return since(sight.unreadyMs, seenMs) ? "was never made: its node has no fresh heartbeat" : null;
    case "Faulty":
      // Its drive is left out of placement until then: not tried again at once.
      return p.unmade && since(sight.sinceMs, limits.returnGraceMs) ? "could not be made" : null;
    default:
      return null;
  }
}
