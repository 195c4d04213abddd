/**
 * Fresh reads (I10) and the residual of I1: the guard watches what counts, the volume is suspended when nothing proves that
 * this node is still the owner, or while the record names a member that MD has failed, and resumed when that is over. Pure.
 */
import type { Action } from "./action.ts";
import { answers, countedMembers, provenUntil, watchedNQN } from "./fresh.ts";
import { isSplit } from "./look.ts";
import type { VolumeDevice } from "./observed.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { act, NOTHING, wait } from "./plan-types.ts";
import type { MemberView, VolumeView } from "./view.ts";
import { isHeld, isLost } from "./view.ts";

export function planFresh(view: VolumeView, input: PlanInput): Plan {
  const { device } = view;
  if (!device) return NOTHING;
  const suspended = device.suspended || device.suspending;
  const guard = planGuard(view, device, input);
  const suspend = suspended ? null : suspendAction(view, device, input);
  const actions = [guard, suspend].filter((a) => a !== null);
  if (actions.length > 0) return act(...actions);
  if (!suspended) return NOTHING;
  const reason = whyNot(view, input);
  return reason === null ? act(resumeAction(view, device, input)) : wait(reason);
}

function planGuard(view: VolumeView, device: VolumeDevice, input: PlanInput): Action | null {
  if (input.promiseMs === null) return null;
  const counted = countedMembers(view, input.session);
  const wanted = counted.map(watchedNQN).sort();
  const there = [...(device.guarded ?? [])].sort();
  if (wanted.length === there.length && wanted.every((nqn, i) => nqn === there[i])) return null;
  const { provenMs } = input.session.seen;
  // A process that has proven nothing yet leaves the guard of its predecessor as it is: a new one would count from later.
  if (counted.length > 0 && provenMs === null) return null;
  const connections = counted.map((m) => ({ controller: m.connection?.controller ?? "none", nqn: watchedNQN(m) }));
  const why = counted.length > 0 ? "the guard watches every member that may be in R (I10, Z16)" : "R is a member of this node only: nothing to prove (I10)";
  return { kind: "GuardVolume", name: device.name, connections, provenMs: provenMs ?? input.nowMs, graceMs: input.bounds.freshGraceMs, why };
}

/** The guard does the same without this program; this is for where there is none, and for I1's residual. */
function suspendAction(view: VolumeView, device: VolumeDevice, input: PlanInput): Action | null {
  const { seen } = input.session;
  const silent = countedMembers(view, input.session).filter((m) => !answers(m));
  if (silent.length > 0 && input.nowMs - (seen.provenMs ?? seen.firstMs ?? input.nowMs) > input.bounds.freshGraceMs)
    return { kind: "SuspendVolume", name: device.name, why: `nothing proves that this node is still the owner: ${nodesOf(silent)} does not answer (I10)` };
  if (isSplit(view) && seen.failedMs !== null && input.nowMs - seen.failedMs > input.bounds.residualMs)
    return { kind: "SuspendVolume", name: device.name, why: "MD failed a member of R, and the record cannot be written: nothing goes on until it is (I1)" };
  return null;
}

/** Why a suspended volume stays so; null: it goes on. */
function whyNot(view: VolumeView, input: PlanInput): string | null {
  const counted = countedMembers(view, input.session);
  const silent = counted.filter((m) => !answers(m));
  if (silent.length > 0) return `the volume is suspended until node ${nodesOf(silent)} answers, or its member is recorded out (I10)`;
  if (isSplit(view)) return "the volume is suspended until the record says that MD failed a member (I1)";
  // Z14: a suspend waits above writes that are held; it ends only once their member is failed and disconnected.
  const held = view.members.filter(holdsWrites);
  if (held.length > 0) return `the volume is suspended until the writes that node ${nodesOf(held)} holds are released (Z14)`;
  const limit = provenUntil(view, input);
  return limit !== null && input.nowMs > limit ? "the volume is suspended until its connections are looked at again (I10)" : null;
}

/** Failed in MD its writes are still held, until its connection is ended. */
function holdsWrites(m: MemberView): boolean {
  return m.inArray !== null && isLost(m) && (isHeld(m) || m.connection !== null);
}

function resumeAction(view: VolumeView, device: VolumeDevice, input: PlanInput): Action {
  return { kind: "ResumeVolume", name: device.name, notAfterMs: provenUntil(view, input), why: "every member that may be in R answers, or is of this node: still the owner (I10)" };
}

function nodesOf(members: MemberView[]): string {
  return [...new Set(members.map((m) => m.record.nodeID))].join(", ");
}
