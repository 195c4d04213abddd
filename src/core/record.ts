/**
 * The record: what the volume's status says about ownership and membership, and every change of it.
 * Each change is a pure function of the record as just read; the shell turns it into a
 * compare-and-swap (kube/update.ts), which calls it again on every fresh read. A change that no
 * longer fits what is read is refused with a sentence, and the planner looks again.
 */
import type { MeshStorVolume, PartitionRecord, VolumeStatus } from "../api/volume.ts";
import type { LeavingRef, MemberRef, RecordAction } from "./action.ts";
import { isDeclaredDead } from "./judge.ts";
import type { RecordContext, RecordResult } from "./record-base.ts";
import { accept, findPartition, inSyncOf, isOwner, mapMirror, mapPartition, mayReturn, refuse } from "./record-base.ts";
import { withSize } from "./growth.ts";
import { recordFilesystemGrown, recordPartitionGrown, recordSize, recordTight } from "./record-growth.ts";
import { recordClaim, recordFenced, recordHandOver, recordRelease, recordTornDown } from "./record-owner.ts";

export type { Identity, RecordContext, RecordResult } from "./record-base.ts";
export { findPartition, inSyncOf, isOwner } from "./record-base.ts";

/** Applies one record action; the only place where membership and ownership change. */
export function applyRecord(action: RecordAction, volume: MeshStorVolume, context: RecordContext): RecordResult {
  const status = volume.status ?? {};
  switch (action.kind) {
    case "RecordCreated":
      return setPartition(status, action.partitionUUID, context, ["Requested"], { state: "Created" });
    case "RecordFaulty":
      return setPartition(status, action.partitionUUID, context, ["Requested"], { state: "Faulty", unmade: true, message: action.message });
    case "RecordDeleted":
      return recordDeleted(status, action.partitionUUID, context, volume.metadata.deletionTimestamp !== undefined && !status.owner);
    case "RecordExport":
      return recordExport(status, action, context);
    case "RecordClaim":
      return recordClaim(action.from, volume, context);
    case "RecordHandOver":
      return recordHandOver(status, context);
    case "RecordTornDown":
      return recordTornDown(status, action, context);
    case "RecordRequestLocal":
      return recordRequestLocal(withSize(volume, status), action, context);
    case "RecordPartitionGrown":
      return recordPartitionGrown(volume, action, context);
    case "RecordTight":
      return recordTight(volume, action.partitionUUID, context);
    default:
      return ownersChange(action, volume, context);
  }
}

/** Changes that others than the owner make, or whoever wants to become it. */
type AnyonesKind =
  | "RecordCreated"
  | "RecordFaulty"
  | "RecordDeleted"
  | "RecordExport"
  | "RecordClaim"
  | "RecordHandOver"
  | "RecordTornDown"
  | "RecordRequestLocal"
  | "RecordPartitionGrown"
  | "RecordTight";

/** Changes that only the owner of the planned epoch may make (I2, I4). */
function ownersChange(action: Exclude<RecordAction, { kind: AnyonesKind }>, volume: MeshStorVolume, context: RecordContext): RecordResult {
  const status = volume.status ?? {};
  if (!isOwner(status, context.me) && !(action.kind === "RecordRelease" && mayReleaseFor(action, volume, context)))
    return refuse("this node, in this boot, is not the volume's owner");
  if (status.epoch !== context.epoch) return refuse(`the record is at epoch ${status.epoch}, the plan was made for ${context.epoch}`);
  switch (action.kind) {
    case "RecordMirrorCreated":
      return recordMirrorCreated(status, action.mirror, context);
    case "RecordOut":
      return recordOut(status, action.members, context, "Missing");
    case "RecordRetire":
      return recordRetire(status, action.members, context, volume.spec.numberOfCopies);
    case "RecordJoining":
      return recordJoining(status, action, context);
    case "RecordIn":
      return recordIn(status, action.members, context);
    case "RecordDetached":
      if (!findPartition(status, action.partitionUUID)) return refuse(`partition ${action.partitionUUID} is not in the record`);
      return accept({ ...status, partitions: mapPartition(status, action.partitionUUID, (p) => giveUp(p, action.attach)) });
    case "RecordRetired":
      return recordRetired(status, action.partitionUUID, context);
    case "RecordFilesystem":
      if (status.filesystem) return refuse("the filesystem's UUID is already recorded");
      return accept({ ...status, filesystem: { uuid: context.ids[0]! } });
    case "RecordFormatted":
      if (!status.filesystem) return refuse("no filesystem UUID is recorded (I6)");
      return accept({
        ...status,
        filesystem: { ...status.filesystem, formattedAt: status.filesystem.formattedAt ?? context.now, ...(status.sizeBytes !== undefined && { sizeBytes: status.sizeBytes }) },
      });
    case "RecordSize":
      return recordSize(volume, action.capacityBytes);
    case "RecordFilesystemGrown":
      return recordFilesystemGrown(status, action.sizeBytes);
    case "RecordFenced":
      return recordFenced(status);
    case "RecordRelease":
      return recordRelease(status, action.clean);
  }
}

/**
 * After a reboot nothing of the former boot is left to stop: the same node may give ownership up (uncleanly). Nobody runs a
 * deleted volume again: where its owner is declared dead, any node that holds a part of it lets it go.
 */
function mayReleaseFor(action: Extract<RecordAction, { kind: "RecordRelease" }>, volume: MeshStorVolume, context: RecordContext): boolean {
  const { owner } = volume.status ?? {};
  if (action.clean || !owner) return false;
  if (owner.nodeUID === context.me.nodeUID) return true;
  const { from } = action;
  const same = from !== undefined && owner.nodeUID === from.nodeUID && owner.bootID === from.bootID;
  return same && isDeclaredDead(from.judged) && volume.metadata.deletionTimestamp !== undefined;
}

function setPartition(status: VolumeStatus, uuid: string, context: RecordContext, from: PartitionRecord["state"][], change: Partial<PartitionRecord>): RecordResult {
  const partition = findPartition(status, uuid);
  if (!partition) return refuse(`partition ${uuid} is not in the record`);
  if (partition.nodeID !== context.me.nodeName) return refuse(`partition ${uuid} is not on this node`);
  if (!from.includes(partition.state)) return refuse(`partition ${uuid} is in state ${partition.state}`);
  const { progress: _progress, message: _message, ...rest } = partition;
  return accept({ ...status, partitions: mapPartition(status, uuid, () => ({ ...rest, ...change, updatedAt: context.now })) });
}

function recordDeleted(status: VolumeStatus, uuid: string, context: RecordContext, volumeDeleted: boolean): RecordResult {
  const partition = findPartition(status, uuid);
  if (!partition) return refuse(`partition ${uuid} is not in the record`);
  if (partition.nodeID !== context.me.nodeName) return refuse(`partition ${uuid} is not on this node`);
  // What a former owner may have assembled is found through its entry; without it nothing would ever take that down (I4).
  if (status.former) return refuse(`node ${status.former[0]!.nodeName} may still have partition ${uuid} in use`);
  if (!volumeDeleted && namedInR(status, uuid)) return refuse(`partition ${uuid} is named in R (I7)`);
  if (!volumeDeleted && !mayBeWiped(partition)) return refuse(`partition ${uuid} is not given up (I9)`);
  return accept({ ...status, partitions: (status.partitions ?? []).filter((p) => p.partitionUUID !== uuid) });
}

/** I7, I9: a partition may be wiped only when its owner gave it up, or when it was never used at all. */
export function mayBeWiped(partition: PartitionRecord): boolean {
  return partition.state === "Deleting" && partition.detached === true;
}

/** True if any mirror's R names the member; such a partition is never wiped (I7). */
export function namedInR(status: VolumeStatus, uuid: string): boolean {
  return (status.mirrors ?? []).some((m) => m.inSync.includes(uuid));
}

/** States in which a member may be connected to, and may join. */
const USABLE: ReadonlySet<PartitionRecord["state"]> = new Set(["Created", "Syncing", "Synced", "Spare", "Missing"]);

function isUsable(status: VolumeStatus, partition: PartitionRecord): boolean {
  return USABLE.has(partition.state) || mayReturn(status, partition);
}

function recordExport(status: VolumeStatus, action: { partitionUUID: string; epoch: number; attach: number }, context: RecordContext): RecordResult {
  const partition = findPartition(status, action.partitionUUID);
  if (!partition || partition.nodeID !== context.me.nodeName) return refuse(`partition ${action.partitionUUID} is not on this node`);
  if (!status.owner || status.owner.nodeUID === context.me.nodeUID) return refuse("no other node owns the volume");
  if (status.epoch !== action.epoch) return refuse(`the record is at epoch ${status.epoch}, not ${action.epoch}`);
  if (!isUsable(status, partition)) return refuse(`partition ${action.partitionUUID} is in state ${partition.state}`);
  const last = Math.max(partition.export?.attach ?? 0, partition.detachedAttach ?? 0);
  if (action.attach <= last) return refuse(`attach number ${action.attach} was used before (Z6)`);
  const exported = {
    epoch: action.epoch,
    attach: action.attach,
    bootID: context.me.bootID,
    transport: "tcp" as const,
    address: context.address,
    port: context.port,
  };
  return accept({ ...status, partitions: mapPartition(status, action.partitionUUID, (p) => ({ ...p, export: exported })) });
}

function recordMirrorCreated(status: VolumeStatus, index: number, context: RecordContext): RecordResult {
  if (!status.mirrors?.[index]) return refuse(`mirror ${index} is not in the record`);
  const inSync = inSyncOf(status, index);
  return accept({
    ...status,
    mirrors: mapMirror(status, index, (m) => ({ ...m, created: true })),
    partitions: (status.partitions ?? []).map((p) => (inSync.includes(p.partitionUUID) && p.state === "Created" ? { ...p, state: "Synced" as const, updatedAt: context.now } : p)),
  });
}

/**
 * I1: members leave R. The generation rises always, also if none of them was in it (Z2). R never
 * becomes empty: the last recorded member is held, not released.
 */
function recordOut(status: VolumeStatus, members: readonly LeavingRef[], context: RecordContext, state: "Missing" | "Replacing"): RecordResult {
  let next = status;
  for (const index of new Set(members.map((m) => m.mirror))) {
    const mirror = next.mirrors?.[index];
    if (!mirror) return refuse(`mirror ${index} is not in the record`);
    const leaving = members.filter((m) => m.mirror === index).map((m) => m.partitionUUID);
    const inSync = mirror.inSync.filter((uuid) => !leaving.includes(uuid));
    if (inSync.length === 0) return refuse(`mirror ${index} would be left without a recorded member`);
    const generation = mirror.generation + 1;
    next = {
      ...next,
      mirrors: mapMirror(next, index, (m) => ({ ...m, generation, inSync })),
      partitions: (next.partitions ?? []).map((p) => {
        const ref = members.find((m) => m.partitionUUID === p.partitionUUID && m.mirror === index);
        return ref ? giveUp(leave(p, mirror.inSync.includes(p.partitionUUID), generation, context.now, state), ref.attach) : p;
      }),
    };
  }
  return accept(next);
}

/** An excess copy leaves: never one that is still wanted. */
function recordRetire(status: VolumeStatus, members: readonly LeavingRef[], context: RecordContext, copies: number): RecordResult {
  for (const mirror of status.mirrors ?? []) {
    const stay = mirror.inSync.filter((uuid) => !members.some((m) => m.partitionUUID === uuid));
    if (stay.length < mirror.inSync.length && stay.length < copies) return refuse(`mirror ${mirror.index} would be left with ${stay.length} of ${copies} copies`);
  }
  return recordOut(status, members, context, "Replacing");
}

/** The connection that goes with a member: its attach number is never connected again, the provider may export anew. */
function giveUp(p: PartitionRecord, attach: number | null): PartitionRecord {
  return attach === null ? p : { ...p, detachedAttach: Math.max(p.detachedAttach ?? 0, attach) };
}

function leave(p: PartitionRecord, wasIn: boolean, generation: number, now: string, state: "Missing" | "Replacing"): PartitionRecord {
  const { outSince, ...rest } = p;
  const final = p.state === "Replacing" || p.state === "Deleting";
  const failed = state === "Missing" && p.state === "Syncing" ? { failedJoins: (p.failedJoins ?? 0) + 1 } : {};
  // One that was given up after its time-out stays so, however often it is recorded out.
  const same = p.state === state || (p.state === "Faulty" && state === "Missing");
  const left: PartitionRecord = same || final ? rest : { ...rest, ...failed, state, updatedAt: now };
  if (state === "Replacing" || final) return left;
  if (wasIn) return { ...left, outSince: generation };
  // A member that was on its way back keeps its claim: the bitmap still has what it misses.
  return outSince === undefined ? left : { ...left, outSince };
}

/** I5: once no slot is vacant MD clears its bitmap; from here on only the joining member may rely on it, if it does. */
function recordJoining(status: VolumeStatus, action: { member: MemberRef; fills: boolean; byBitmap: boolean }, context: RecordContext): RecordResult {
  const { member, fills, byBitmap } = action;
  const partition = findPartition(status, member.partitionUUID);
  if (!partition || partition.mirror !== member.mirror) return refuse(`partition ${member.partitionUUID} is not in the record of mirror ${member.mirror}`);
  if (!isUsable(status, partition)) return refuse(`partition ${member.partitionUUID} is in state ${partition.state}`);
  if (namedInR(status, member.partitionUUID)) return refuse(`partition ${member.partitionUUID} is recorded in sync already`);
  const partitions = (status.partitions ?? []).map((p) => {
    const joins = p.partitionUUID === member.partitionUUID;
    const { outSince, message, ...others } = p;
    const rest = joins || message === undefined ? others : { ...others, message };
    const loses = joins ? !byBitmap : fills && p.mirror === member.mirror;
    const kept = loses || outSince === undefined ? rest : { ...rest, outSince };
    // From here on it is neither what it was nor what it will be, until it is recorded in sync (core/override.ts).
    return joins ? { ...kept, half: true, ...(p.state !== "Syncing" && { state: "Syncing" as const, updatedAt: context.now }) } : kept;
  });
  return accept({ ...status, partitions });
}

function recordIn(status: VolumeStatus, members: readonly MemberRef[], context: RecordContext): RecordResult {
  let next = status;
  for (const member of members) {
    const partition = findPartition(next, member.partitionUUID);
    if (!partition || partition.mirror !== member.mirror || !next.mirrors?.[member.mirror])
      return refuse(`partition ${member.partitionUUID} is not in the record of mirror ${member.mirror}`);
    if (partition.state !== "Syncing") return refuse(`partition ${member.partitionUUID} is in state ${partition.state}, it has not been announced`);
    const { outSince: _out, half: _half, message: _message, failedJoins: _failed, ...rest } = partition;
    next = {
      ...next,
      mirrors: mapMirror(next, member.mirror, (m) =>
        m.inSync.includes(member.partitionUUID) ? { ...m, generation: m.generation + 1 } : { ...m, generation: m.generation + 1, inSync: [...m.inSync, member.partitionUUID] },
      ),
      partitions: mapPartition(next, member.partitionUUID, () => ({ ...rest, state: "Synced", updatedAt: context.now })),
    };
  }
  return accept(next);
}

function recordRetired(status: VolumeStatus, uuid: string, context: RecordContext): RecordResult {
  const partition = findPartition(status, uuid);
  if (!partition || partition.state !== "Replacing") return refuse(`partition ${uuid} is not being replaced`);
  if (namedInR(status, uuid)) return refuse(`partition ${uuid} is named in R (I7)`);
  return accept({ ...status, partitions: mapPartition(status, uuid, (p) => ({ ...p, state: "Deleting", detached: true, updatedAt: context.now })) });
}

function recordRequestLocal(
  status: VolumeStatus,
  action: { partitions: { mirror: number; drive: string; sizeBytes: number }[]; insteadOf: string | null },
  context: RecordContext,
): RecordResult {
  const mine = (status.partitions ?? []).some((p) => p.nodeID === context.me.nodeName && p.state !== "Deleting");
  if (mine) return refuse("this node already holds a copy");
  if (action.insteadOf === null ? !isOwner(status, context.me) : status.mirrors !== undefined || status.owner !== undefined) return refuse("the volume changed hands meanwhile");
  if (action.insteadOf !== null && !(status.partitions ?? []).some((p) => p.nodeID === action.insteadOf && p.state === "Created"))
    return refuse(`node ${action.insteadOf} holds no copy that could move`);
  const kept = (status.partitions ?? []).map((p) => (p.nodeID === action.insteadOf ? { ...p, state: "Deleting" as const, detached: true, updatedAt: context.now } : p));
  const added = action.partitions.map((p, i) => ({
    partitionUUID: context.ids[i]!,
    nodeID: context.me.nodeName,
    drive: p.drive,
    mirror: p.mirror,
    state: "Requested" as const,
    sizeBytes: p.sizeBytes,
    updatedAt: context.now,
  }));
  return accept({ ...status, partitions: [...kept, ...added] });
}
