/** How long a provider, and a new owner for its own member, must still wait for former owners (I10). Pure. */
import type { FormerOwner } from "../api/volume.ts";
import { isDeclaredDead, judge } from "./judge.ts";
import type { PlanInput } from "./plan-types.ts";
import type { VolumeView } from "./view.ts";

/** Former owners that may still serve reads: neither torn down, nor waited for, nor declared dead then or now. */
function doubtful(view: VolumeView, input: PlanInput): FormerOwner[] {
  return (view.status.former ?? []).filter((f) => f.waited !== true && !isDeclaredDead(f.judged) && !isDeclaredDead(judge(f, input.peers, input.bounds)));
}

/** An epoch has not run yet since these owners were replaced. */
export function isUnfenced(view: VolumeView): boolean {
  return (view.status.former ?? []).some((f) => f.waited !== true);
}

/** The longest of their promises, in ms; 0 if nobody must be waited for. */
export function longestWait(view: VolumeView, input: PlanInput): number {
  return Math.max(0, ...doubtful(view, input).map((f) => f.waitMs));
}

/**
 * Why a partition of this node may not be exported or used yet, or null. The time counts from the first look at which
 * this process saw the epoch in the record and no older export of it in its kernel (look.ts).
 */
export function waitOut(view: VolumeView, partitionUUID: string, input: PlanInput): string | null {
  const former = doubtful(view, input);
  if (former.length === 0) return null;
  const { cut } = input.session.seen;
  const since = cut.epoch === view.epoch ? cut.sinceMs[partitionUUID] : undefined;
  const left = since === undefined ? longestWait(view, input) : since + longestWait(view, input) - input.nowMs;
  if (left <= 0) return null;
  const names = [...new Set(former.map((f) => f.nodeName))].join(", ");
  return `node ${names} may serve reads of the volume for ${Math.ceil(left / 1000)} s more: partition ${partitionUUID} waits (I10)`;
}
