/**
 * Members that come back, join, or leave for good while the volume runs (I5, Z3: only with every
 * connection live and no loss under way; one membership change per mirror at a time). Pure.
 */
import type { Action } from "./action.ts";
import { planCopies } from "./plan-copies.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { act, NOTHING, wait } from "./plan-types.ts";
import { isGuarded } from "./fresh.ts";
import { isBigEnough } from "./growth.ts";
import { judge } from "./judge.ts";
import { connectAction, openWindow } from "./plan-start.ts";
import { mayReturn } from "./record-base.ts";
import { hasJob } from "./session.ts";
import { slotsOf } from "./sizes.ts";
import type { MemberView, MirrorView, VolumeView } from "./view.ts";
import { isLost, isSyncing } from "./view.ts";

export function planHeal(view: VolumeView, input: PlanInput): Plan {
  const plans = view.mirrors.map((mirror) => healMirror(view, mirror, input));
  const actions = plans.flatMap((p) => p.actions);
  const waits = plans.flatMap((p) => p.waits);
  if (actions.length > 0) return { ...NOTHING, actions, waits };
  const copies = waits.length > 0 ? NOTHING : planCopies(view, input);
  if (copies.actions.length > 0) return copies;
  const stranded = view.members.filter((m) => isStranded(view, m, input));
  if (stranded.length > 0) return act(recordStranded(stranded));
  // Last: a node that announced an export and is gone again must not keep the others waiting.
  return { ...NOTHING, actions: view.members.map((m) => connectAction(view, m, input)).filter((a) => a !== null), waits };
}

/** Announced as joining, and its path is gone before it came into the array: it is missing like any other, so that its time-out runs. */
function isStranded(view: VolumeView, m: MemberView, input: PlanInput): boolean {
  const gone = m.local ? m.partition === null : m.connections.length === 0 && judge({ nodeName: m.record.nodeID }, input.peers, input.bounds) !== null;
  return m.record.state === "Syncing" && !m.recorded && m.inArray === null && m.path === null && gone && view.mirrors[m.mirror]?.array !== null;
}

function recordStranded(members: MemberView[]): Action {
  const refs = members.map((m) => ({ partitionUUID: m.uuid, mirror: m.mirror, attach: m.record.export?.attach ?? null }));
  return { kind: "RecordOut", members: refs, reason: "gone before it joined", why: "the member was lost before it came into the array" };
}

/** Members that are complete and not recorded yet, and nothing else. */
export function planEnter(view: VolumeView, input: PlanInput): Plan {
  const plans = view.mirrors.map((mirror) => enterMirror(view, mirror, input) ?? NOTHING);
  return { ...NOTHING, actions: plans.flatMap((p) => p.actions) };
}

function enterMirror(view: VolumeView, mirror: MirrorView, input: PlanInput): Plan | null {
  const entered = mirror.members.filter((m) => m.inArray?.flags.includes("in_sync") && !m.recorded && m.record.state !== "Replacing" && !isLost(m));
  return entered.length > 0 && !isSyncing(mirror.array) ? enter(view, mirror, entered, input) : null;
}

function healMirror(view: VolumeView, mirror: MirrorView, input: PlanInput): Plan {
  const array = mirror.array!;
  const entering = enterMirror(view, mirror, input);
  if (entering) return entering;
  const preference = mirror.members.filter((m) => m.inArray && !m.inArray.flags.includes("faulty") && m.inArray.flags.includes("write_mostly") === m.local);
  if (preference.length > 0)
    return act(
      ...preference.map((m): Action => ({ kind: "SetWriteMostly", device: array.device, window: m.window!.device, writeMostly: !m.local, why: "reads go to the local member" })),
    );
  // A frozen array's next join lets it go on.
  if (isSyncing(mirror.array)) return wait(`mirror ${mirror.index} resyncs`);
  const spare = mirror.members.find((m) => m.inArray?.flags.includes("spare"));
  const active = array.members.filter((m) => !m.flags.includes("faulty")).length;
  // Its join was ended before it made the slot, or before it let the array go on (Z3, Z18).
  const slotless = active > array.raidDisks;
  if (spare && (slotless || array.syncAction === "frozen"))
    return act({
      kind: "AddMember",
      device: array.device,
      partitionUUID: spare.uuid,
      window: spare.window!.device,
      growTo: slotless ? active : null,
      local: spare.local,
      why: slotless ? "an added member has no slot yet" : "the array was left frozen: the added member is not rebuilt",
    });
  if (spare) return wait(`mirror ${mirror.index} begins to rebuild its new member`);
  const candidate = mirror.members.find((m) => mayJoin(view, m, input));
  if (candidate) return join(view, mirror, candidate, input);
  return shrink(view, mirror);
}

/** I1: a member enters R when it is in sync, no sync runs, and it carries this epoch's label. */
function enter(view: VolumeView, mirror: MirrorView, entered: MemberView[], input: PlanInput): Plan {
  const unlabelled = entered.filter((m) => !labelled(view, m, input));
  if (unlabelled.length > 0) return act(label(view, mirror, unlabelled));
  if (!entered.every((m) => isGuarded(view, m, input))) return wait(`the guard of volume ${view.name} takes in the new member (I10)`);
  const members = entered.map((m) => ({ partitionUUID: m.uuid, mirror: m.mirror }));
  const unannounced = entered.find((m) => m.record.state !== "Syncing");
  if (unannounced)
    return act({ kind: "RecordJoining", member: { partitionUUID: unannounced.uuid, mirror: mirror.index }, fills: true, byBitmap: true, why: "found in sync by a new process" });
  return act({ kind: "RecordIn", members, why: "in sync, and no resync runs" });
}

function labelled(view: VolumeView, m: MemberView, input: PlanInput): boolean {
  return input.session.stamped[m.uuid]?.startsWith(`${view.epoch}:`) ?? false;
}

function label(view: VolumeView, mirror: MirrorView, members: MemberView[]): Action {
  const devices = members.map((m) => ({ partitionUUID: m.uuid, mirror: m.mirror, device: m.path!, generation: mirror.generation }));
  return { kind: "StampLabel", devices, volumeUID: view.uid, epoch: view.epoch, atStart: false, why: "a member carries the epoch's label before it is recorded in sync (I2)" };
}

function mayJoin(view: VolumeView, m: MemberView, input: PlanInput): boolean {
  if (m.inArray !== null || m.recorded || m.path === null) return false;
  // A member that is smaller than what is recorded is never used.
  if (!isBigEnough(view.volume, m.record)) return false;
  if (m.local && (m.exports.length > 0 || hasJob(input.session, m.uuid))) return false;
  if (!["Created", "Missing", "Syncing", "Synced"].includes(m.record.state) && !mayReturn(view.status, m.record)) return false;
  return (input.session.joinNotBefore[m.uuid] ?? 0) <= input.nowMs;
}

/** Announce, label, window, then by bitmap where its claim stands (I5), else in full. */
function join(view: VolumeView, mirror: MirrorView, m: MemberView, input: PlanInput): Plan {
  const array = mirror.array!;
  const active = array.members.filter((x) => !x.flags.includes("faulty")).length;
  const growTo = active >= array.raidDisks ? array.raidDisks + 1 : null;
  const fills = active + 1 >= (growTo ?? array.raidDisks);
  const survivor = mirror.members.filter((s) => s.recorded && s.inArray && s.window).sort((a, b) => Number(b.local) - Number(a.local))[0];
  const byBitmap = m.record.outSince !== undefined && array.hasBitmap && growTo === null && survivor !== undefined && !input.session.fullRebuild.includes(m.uuid);
  const ref = { partitionUUID: m.uuid, mirror: mirror.index };
  // Others may have come and gone since it was announced: what it ends for them, and for itself, must stand in the record now.
  const others = mirror.members.some((x) => x !== m && x.record.outSince !== undefined);
  const announced = input.session.joining.includes(m.uuid) && !(fills && others) && (byBitmap || m.record.outSince === undefined);
  if (!announced) return act({ kind: "RecordJoining", member: ref, fills, byBitmap, why: `member on node ${m.record.nodeID} is there again` });
  if (!labelled(view, m, input)) return act(label(view, mirror, [m]));
  if (!m.window) return act(openWindow(view, m));
  const common = { device: array.device, partitionUUID: m.uuid, window: m.window.device, local: m.local };
  if (byBitmap) return act({ kind: "ReAddMember", ...common, arrayUUID: mirror.arrayUUID, survivorWindow: survivor.window!.device, why: "the bitmaps say what it misses (I5)" });
  return act({
    kind: "AddMember",
    ...common,
    growTo,
    why: growTo ? "a copy is added before another leaves: never degraded" : "rebuilt in full: no bitmap says what it misses (I5)",
  });
}

/** A slot that a replaced member left is taken away again, if no absent member still counts on the bitmap. */
function shrink(view: VolumeView, mirror: MirrorView): Plan {
  const array = mirror.array!;
  const slots = slotsOf(view.volume.spec);
  const claims = mirror.members.some((m) => m.record.outSince !== undefined);
  if (array.raidDisks <= slots || array.members.length > slots || claims) return NOTHING;
  return act({ kind: "ShrinkMirror", device: array.device, slots, why: "the slot of the retired member is vacant" });
}
