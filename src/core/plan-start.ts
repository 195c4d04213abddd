/**
 * From "this node shall run the volume" to a mounted filesystem: claim an epoch, connect, label,
 * assemble from R, build the volume device, format once, mount (I2, I3, I6). Pure.
 */
import { exportNQN } from "../api/names.ts";
import { LABEL_AREA, PARTITION_OVERHEAD } from "../base/layout.ts";
import type { Action } from "./action.ts";
import { isBigEnough, specInUse } from "./growth.ts";
import { judge } from "./judge.ts";
import { planMount } from "./plan-mount.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { planClaim } from "./plan-takeover.ts";
import { act, NOTHING, refusePlan, wait } from "./plan-types.ts";
import { mayReturn } from "./record-base.ts";
import { hasJob } from "./session.ts";
import { bitmapChunk, mirrorSize, slotsOf } from "./sizes.ts";
import type { MemberView, MirrorView, VolumeView } from "./view.ts";
import { longestWait, waitOut } from "./wait-out.ts";

export { bitmapChunk } from "./sizes.ts";

/** How long a start waits for a recorded member before it goes on without it (after recording it out). */
export const START_WAIT_MS = 15_000;

/** How long a start after an unclean stop waits to read the labels of the members that will not start (a restored record, I2). */
export const LABEL_WAIT_MS = 5_000;

export function planStart(view: VolumeView, input: PlanInput): Plan {
  const assembled = view.mirrors.every((m) => m.array !== null && m.created) && view.mirrors.length > 0;
  if (!view.mine) return input.intent.kind === "stage" ? planClaim(view, input) : NOTHING;
  if (assembled) return planMount(view, input);
  const anyArray = view.mirrors.some((m) => m.array !== null);
  const claimed = input.session.claimedEpoch === view.epoch;
  if (!claimed && anyArray && view.mirrors.every((m) => m.array !== null)) return adoptCreated(view);
  if (input.intent.kind !== "stage") return NOTHING;
  if (!claimed) return reclaim(view, anyArray);
  return planAssemble(view, input);
}

/** The array was made and its record not written: all mirrors run in the recorded epoch, so they are adopted. */
function adoptCreated(view: VolumeView): Plan {
  const missing = view.mirrors.find((m) => !m.created);
  return missing ? act({ kind: "RecordMirrorCreated", mirror: missing.index, why: "the mirror runs in this epoch" }) : NOTHING;
}

/** I2: every assembly takes a new epoch. What an earlier process left half built is taken down first. */
function reclaim(view: VolumeView, anyArray: boolean): Plan {
  const arrays = view.mirrors.filter((m) => m.array !== null);
  if (view.device) return act({ kind: "RemoveVolumeDevice", name: view.device.name, why: "left by an assembly that was not finished" });
  if (anyArray) return act(...arrays.map((m): Action => ({ kind: "StopMirror", device: m.array!.device, clean: false, why: "left by an assembly that was not finished" })));
  const windows = view.members.filter((m) => m.window !== null);
  if (windows.length > 0) return act(...windows.map((m): Action => ({ kind: "CloseWindow", partitionUUID: m.uuid, why: "left by an assembly that was not finished" })));
  const connections = view.members.flatMap((m) => m.connections);
  if (connections.length > 0)
    return act(...connections.map((c): Action => ({ kind: "Disconnect", controller: c.controller, nqn: c.nqn, why: "of an assembly that was not finished" })));
  return act({ kind: "RecordClaim", from: null, why: "every assembly takes a new epoch (I2)" });
}

function planAssemble(view: VolumeView, input: PlanInput): Plan {
  const busy = view.members.find((m) => m.local && m.recorded && hasJob(input.session, m.uuid));
  if (busy) return wait(`node ${input.me.nodeName} zeroes partition ${busy.uuid}`);
  const local = view.members.find((m) => m.local && m.recorded && m.exports.length > 0);
  if (local) return wait(`the export of partition ${local.uuid} to the former owner is withdrawn`);
  // I10: a former owner may read this very member for some time after it was cut off.
  const waits = view.members.flatMap((m) => (m.local && m.recorded ? (waitOut(view, m.uuid, input) ?? []) : []));
  if (waits.length > 0) return wait(...waits);
  const connects = view.members
    .filter((m) => m.recorded)
    .map((m) => connectAction(view, m, input))
    .filter((a) => a !== null);
  const plans = view.mirrors.map((mirror) => (mirror.array ? adoptOne(mirror) : assembleOne(view, mirror, input)));
  const built = plans.flatMap((p) => p.actions);
  // A record goes alone: connecting to a node that is gone again fails each time, and must not keep it from being recorded out.
  const records = built.filter((a) => a.kind.startsWith("Record"));
  const actions = records.length > 0 ? records : [...connects, ...built];
  return { actions: dedupe(actions), waits: plans.flatMap((p) => p.waits), refusal: plans.find((p) => p.refusal)?.refusal ?? null, done: false };
}

function adoptOne(mirror: MirrorView): Plan {
  return mirror.created ? NOTHING : act({ kind: "RecordMirrorCreated", mirror: mirror.index, why: "the mirror was made" });
}

/** Connect to the provider's current export of this epoch, once (a connection is used once). */
export function connectAction(view: VolumeView, m: MemberView, input: PlanInput): Action | null {
  if (m.local || m.connections.length > 0 || m.window !== null) return null;
  const e = m.record.export;
  // Its provider makes it bigger, or another takes its place.
  if (!isBigEnough(view.volume, m.record)) return null;
  if (!e || e.epoch !== view.epoch || e.attach <= (m.record.detachedAttach ?? 0) || m.record.state === "Deleting" || m.record.state === "Replacing") return null;
  if (m.record.state === "Faulty" && !mayReturn(view.status, m.record)) return null;
  const nqn = exportNQN({ partitionUUID: m.uuid, epoch: e.epoch, attach: e.attach });
  // Z6: it was connected before and is gone; its provider exports anew under the next number.
  if (input.session.connected.includes(nqn))
    return { kind: "RecordDetached", partitionUUID: m.uuid, attach: e.attach, why: `the connection to node ${m.record.nodeID} was used before` };
  return {
    kind: "Connect",
    nqn,
    partitionUUID: m.uuid,
    address: e.address,
    port: e.port,
    why: `node ${m.record.nodeID} exports the member for epoch ${e.epoch}`,
  };
}

/** I3: after a clean stop all of R together; after an unclean one a single member of R, the others recorded out first. */
function assembleOne(view: VolumeView, mirror: MirrorView, input: PlanInput): Plan {
  const R = mirror.members.filter((m) => m.recorded);
  const reachable = R.filter((m) => m.path !== null);
  const waited = input.nowMs - input.session.claimedAtMs - longestWait(view, input);
  const missing = R.filter((m) => m.path === null);
  // Nobody waits for a node that is judged to be gone, as the former owner mostly is (decision 0011).
  const expected = missing.filter((m) => m.local || judge({ nodeName: m.record.nodeID }, input.peers, input.bounds) === null);
  const patient = expected.length > 0 && waited < START_WAIT_MS;
  const alone = (view.status.owner!.start === "Unclean" || input.session.startAlone) && mirror.created;
  const names = [...new Set(missing.map((m) => m.record.nodeID))].join(", ");
  if (reachable.length === 0)
    return patient
      ? wait(`node ${names} exports its member of mirror ${mirror.index}`)
      : refusePlan("NoGoodCopy", `mirror ${mirror.index} of volume ${view.name}: the last good copy is on node ${names}, which does not answer`);
  const chosen = alone ? [reachable.find((m) => m.local) ?? reachable[0]!] : reachable;
  if (expected.length > 0 && (alone ? waited < LABEL_WAIT_MS : patient)) return wait(`node ${names} exports its member of mirror ${mirror.index}`);
  // The label shows that those who start answer, and that nobody in reach is newer than the record, before others are given up for them.
  const first = firstLabel(view, mirror, reachable, input);
  if (first) return act(first);
  const out = R.filter((m) => !chosen.includes(m));
  if (out.length > 0) {
    const members = out.map((m) => ({ partitionUUID: m.uuid, mirror: m.mirror, attach: null }));
    const reason = alone ? "unclean stop: one member starts, the others come back by bitmap (I3)" : "not in reach at the start of the epoch (I3)";
    return act({ kind: "RecordOut", members, reason, why: reason });
  }
  return prepare(view, mirror, chosen, input);
}

/**
 * The epoch's first label of members that have none yet. It has generation 0, so that it is the same at
 * every attempt of this epoch and at no later moment of it: found again, it proves that nothing was written.
 */
function firstLabel(view: VolumeView, mirror: MirrorView, chosen: MemberView[], input: PlanInput): Action | null {
  const first = chosen.filter((m) => !input.session.stamped[m.uuid]?.startsWith(`${view.epoch}:`));
  return first.length > 0 ? stamp(view, mirror, first, 0) : null;
}

function stamp(view: VolumeView, mirror: MirrorView, members: MemberView[], generation: number): Action {
  const known = generation === 0 ? { recordGeneration: mirror.generation } : {};
  const devices = members.map((m) => ({ partitionUUID: m.uuid, mirror: mirror.index, device: m.path!, generation, ...known }));
  return { kind: "StampLabel", devices, volumeUID: view.uid, epoch: view.epoch, atStart: generation === 0, why: "members are labelled before the epoch's first write (I2)" };
}

/** Label, window, array: each step on all chosen members at once. */
function prepare(view: VolumeView, mirror: MirrorView, chosen: MemberView[], input: PlanInput): Plan {
  const unlabelled = chosen.filter((m) => input.session.stamped[m.uuid] !== `${view.epoch}:${mirror.generation}`);
  if (unlabelled.length > 0) return act(stamp(view, mirror, unlabelled, mirror.generation));
  const closed = chosen.filter((m) => m.window === null);
  if (closed.length > 0) return act(...closed.map((m) => openWindow(view, m)));
  const members = chosen.map((m) => ({ partitionUUID: m.uuid, local: m.local }));
  const name = `${view.uid.slice(0, 18)}-m${mirror.index}`;
  if (mirror.created) return act({ kind: "AssembleMirror", mirror: mirror.index, arrayUUID: mirror.arrayUUID, name, members, why: "assembled from R, never by scanning (I3)" });
  const sizeBytes = mirrorSize(specInUse(view.volume));
  return act({
    kind: "CreateMirror",
    mirror: mirror.index,
    arrayUUID: mirror.arrayUUID,
    name,
    slots: slotsOf(view.volume.spec),
    members,
    sizeBytes,
    bitmapChunkBytes: bitmapChunk(sizeBytes),
    why: "first making, on identical members (I7)",
  });
}

/** The window leaves out the label area and ends where the member's share of the array ends. */
export function openWindow(view: VolumeView, m: MemberView): Action {
  const sizeBytes = mirrorSize(specInUse(view.volume)) + PARTITION_OVERHEAD - LABEL_AREA;
  return { kind: "OpenWindow", partitionUUID: m.uuid, epoch: view.epoch, below: m.path!, sizeBytes, why: "MD sees the member without its label" };
}

function dedupe(actions: Action[]): Action[] {
  const seen = new Set<string>();
  return actions.filter((a) => {
    const key = JSON.stringify(a);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
