/**
 * Stopping by force (I4): a former owner that sees a higher epoch, and a volume that shall be unstaged and cannot be,
 * because its writes are held or it is suspended (I8). In this order, each step proven before the next:
 *
 *   XFS         kill the users (gone, or SIGKILL pending on every thread, Z15) → shut the filesystem down
 *               → fail what is held (by ioctl, Z1), disconnect → resume → unmount
 *   raw, ext4   suspend → kill the users → fail what is held, disconnect → every request fails from here on
 *               → (ext4) shut the filesystem down → unmount; plan-stop.ts does the rest.
 *
 * Held requests end with an error, or as success on members that may not be in R, only after nobody is left to hear it. A raw
 * device has no filesystem that refuses what comes later (a container that kubelet starts again, a process that was not
 * found because it had closed the device): it is suspended before anybody is killed, so that no request is begun that its
 * sender could live to hear of, and it goes on only with a table that fails everything. Pure.
 */
import type { Action } from "./action.ts";
import type { VolumeDevice } from "./observed.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { act, refusePlan, wait } from "./plan-types.ts";
import { endsAtDevice, isBlock } from "./staged.ts";
import type { MemberView, VolumeView } from "./view.ts";
import { isHeld, isLost, runningEpoch, runsInEpoch } from "./view.ts";
import { isStuck } from "./look.ts";

/** Something of the volume is assembled here that the record, seen now, says this node must not run. */
export function isFenced(view: VolumeView): boolean {
  const running = runningEpoch(view);
  if (running === null) return false;
  if (!view.mine) return running <= view.epoch;
  return running < view.epoch && view.mirrors.some((m) => m.array !== null && !runsInEpoch(view, m));
}

/** What runs is newer than the record: a restored backup, or somebody wrote it by hand. Nothing is touched. */
export function isAhead(view: VolumeView): boolean {
  return (runningEpoch(view) ?? 0) > view.epoch;
}

export function refuseAhead(view: VolumeView): Plan {
  return refusePlan("RecordOlderThanLabel", `volume ${view.name} runs on this node in epoch ${runningEpoch(view)}, and the record is at epoch ${view.epoch}; nothing is touched`);
}

/** A stop that is asked for, and has been stuck for longer than its bound. */
export function isOverdue(view: VolumeView, input: PlanInput): boolean {
  const { stuckMs } = input.session.seen;
  return hasBegun(view, input) || (isStuck(view) && stuckMs !== null && input.nowMs - stuckMs >= input.bounds.unstageHeldMs);
}

/** A stop by force is finished once begun, whatever kubelet asks for now: its users are gone, and a filesystem that is shut down serves nobody. */
export function hasBegun(view: VolumeView, input: PlanInput): boolean {
  const isOver = view.device?.failed === true || view.mounts.some((m) => m.shutDown);
  return input.session.killed || (input.intent.kind !== "none" && isOver);
}

/** The next step; null when nothing is mounted, held or suspended any more: an orderly tear-down can follow. */
export function planForce(view: VolumeView, input: PlanInput): Plan | null {
  const { device } = view;
  const atDevice = endsAtDevice(view.volume.spec);
  if (atDevice && device && !device.failed && !device.suspended && !device.suspending)
    return act({ kind: "SuspendVolume", name: device.name, why: "nothing new is begun that its sender could live to hear of (I4)" });
  const targets = view.mounts.map((m) => m.target);
  if (device && !input.session.killed) return act({ kind: "KillUsers", name: device.name, targets, why: "whoever waits for a held write must not hear of success (I4)" });
  return (atDevice ? null : shutDown(view, input)) ?? releaseHeld(view) ?? (device ? endService(device, atDevice, input) : null) ?? shutDown(view, input) ?? unmountAll(targets);
}

/** XFS at once; ext4, whose journal writes when it is shut down, once the device answers. */
function shutDown(view: VolumeView, input: PlanInput): Plan | null {
  const { spec } = view.volume;
  const [mount] = view.mounts;
  if (isBlock(spec) || !mount || input.session.shutDown || view.mounts.some((m) => m.shutDown)) return null;
  return act({ kind: "ShutdownFilesystem", target: mount.target, fsType: spec.fsType, why: "what is held can end with an error only (I4)" });
}

function releaseHeld(view: VolumeView): Plan | null {
  const failable = view.members.filter((m) => isHeld(m) && !isLastInSync(view, m));
  if (failable.length > 0) return act(...failable.map((m) => fail(view, m)));
  // Held or failed: the last one in sync is not failed (Z1), its connection is deleted under it.
  const connections = view.members.filter((m) => m.inArray !== null && !m.local && m.connection !== null && isLost(m));
  return connections.length > 0 ? act(...connections.map(disconnect)) : null;
}

/** The guard lets go, and the device goes on: with errors, or above a filesystem that is shut down. */
function endService(device: VolumeDevice, atDevice: boolean, input: PlanInput): Plan | null {
  if (device.guarded !== null && device.guarded.length > 0)
    return act({ kind: "GuardVolume", name: device.name, connections: [], provenMs: input.nowMs, graceMs: input.bounds.freshGraceMs, why: "nothing can be served any more (I4)" });
  if (atDevice && !device.failed) return act({ kind: "FailVolume", name: device.name, why: "its users are gone, and whoever comes after them reaches nothing (I4)" });
  if (device.suspended || device.suspending)
    return act({ kind: "ResumeVolume", name: device.name, notAfterMs: null, why: "its users are gone and nothing of it can be served any more (I4)" });
  return null;
}

function unmountAll(targets: string[]): Plan | null {
  return targets.length > 0 ? act(...targets.map((target): Action => ({ kind: "UnmountStage", target, why: "the volume is stopped by force (I4)" }))) : null;
}

/** MD takes an array for broken whose last member in sync fails (Z1): its connection is deleted under it instead. */
function isLastInSync(view: VolumeView, m: MemberView): boolean {
  const array = view.mirrors[m.mirror]?.array;
  const others = (array?.members ?? []).filter((x) => x.device !== m.inArray!.device && x.flags.includes("in_sync") && !x.flags.includes("faulty"));
  return array === null || array === undefined || (m.inArray!.flags.includes("in_sync") && others.length === 0);
}

function fail(view: VolumeView, m: MemberView): Action {
  const device = view.mirrors[m.mirror]!.array!.device;
  return { kind: "FailMember", device, partitionUUID: m.uuid, window: m.window!.device, why: "its requests are held, and nobody waits for them any more (I4)" };
}

function disconnect(m: MemberView): Action {
  return { kind: "Disconnect", controller: m.connection!.controller, nqn: m.connection!.nqn, why: "its held requests end now, and nobody waits for them any more (I4)" };
}

/**
 * The living owner is asked to give the volume up, and nobody uses it here (decision 0011): left behind by a dead kubelet, or
 * never mounted, because kubelet gave its call up half-way (after a refusal it does not unstage).
 */
export function mustHandOver(view: VolumeView, input: PlanInput): boolean {
  const asked = view.mine && input.intent.kind === "none" && view.status.handOver?.epoch === view.epoch;
  return asked && (input.unattended || view.mounts.length === 0);
}

export function waitForForce(view: VolumeView, input: PlanInput): Plan {
  const { stuckMs } = input.session.seen;
  const left = Math.max(0, (stuckMs ?? input.nowMs) + input.bounds.unstageHeldMs - input.nowMs);
  return wait(`volume ${view.name} has writes that are held: it is stopped by force in ${Math.ceil(left / 1000)} s unless they can be released (I8)`);
}
