/** One volume as its node sees it: the record joined with the host snapshot. Pure. */
import type { MeshStorVolume, PartitionRecord, VolumeStatus } from "../api/volume.ts";
import type { Connection, Export, HostSnapshot, LocalPartition, Mirror, MirrorMember, Mount, VolumeDevice, Window } from "./observed.ts";
import type { Identity } from "./record.ts";
import { isOwner } from "./record.ts";

export interface MemberView {
  record: PartitionRecord;
  uuid: string;
  mirror: number;
  local: boolean;
  /** The local partition, if this node holds it and its drive answers. */
  partition: LocalPartition | null;
  exports: Export[];
  /** Connection below the window, else the one with the highest attach number. */
  connection: Connection | null;
  connections: Connection[];
  window: Window | null;
  inArray: MirrorMember | null;
  /** Kernel name of the device that a window may be opened on now; null if the path is not live. */
  path: string | null;
  /** In R of its mirror. */
  recorded: boolean;
}

export interface MirrorView {
  index: number;
  array: Mirror | null;
  members: MemberView[];
  generation: number;
  created: boolean;
  arrayUUID: string;
}

export interface VolumeView {
  volume: MeshStorVolume;
  status: VolumeStatus;
  name: string;
  uid: string;
  epoch: number;
  /** This node, in this boot, is the recorded owner. */
  mine: boolean;
  members: MemberView[];
  mirrors: MirrorView[];
  device: VolumeDevice | null;
  mounts: Mount[];
}

export function viewVolume(volume: MeshStorVolume, host: HostSnapshot, me: Identity): VolumeView {
  const status = volume.status ?? {};
  const epoch = status.epoch ?? 0;
  const uid = volume.metadata.uid ?? "";
  const members = (status.partitions ?? []).map((record) => viewMember(record, status, host, me, epoch));
  const device = host.volumeDevices.find((d) => d.volumeUID === uid) ?? null;
  const count = Math.max(volume.spec.drivesPerCopy, status.mirrors?.length ?? 0);
  const mirrors = Array.from({ length: count }, (_, index) => viewMirror(index, status, members, host));
  return {
    volume,
    status,
    name: volume.metadata.name,
    uid,
    epoch,
    mine: isOwner(status, me),
    members,
    mirrors,
    device,
    mounts: device ? host.mounts.filter((m) => m.device === device.device) : [],
  };
}

function viewMirror(index: number, status: VolumeStatus, all: MemberView[], host: HostSnapshot): MirrorView {
  const record = status.mirrors?.[index];
  const members = all.filter((m) => m.mirror === index);
  const windows = new Set(members.flatMap((m) => (m.window ? [m.window.device] : [])));
  const array = host.mirrors.find((a) => a.members.some((m) => windows.has(m.device))) ?? (record ? (host.mirrors.find((a) => a.arrayUUID === record.arrayUUID) ?? null) : null);
  return { index, array, members, generation: record?.generation ?? 0, created: record?.created ?? false, arrayUUID: record?.arrayUUID ?? "" };
}

function viewMember(record: PartitionRecord, status: VolumeStatus, host: HostSnapshot, me: Identity, epoch: number): MemberView {
  const uuid = record.partitionUUID;
  const local = record.nodeID === me.nodeName;
  const window = host.windows.find((w) => w.partitionUUID === uuid) ?? null;
  const connections = host.connections.filter((c) => c.partitionUUID === uuid).sort((a, b) => b.attach - a.attach);
  const connection = connections.find((c) => window !== null && c.device === window.below) ?? connections[0] ?? null;
  const partition = host.partitions.find((p) => p.uuid === uuid) ?? null;
  const inArray = window ? (host.mirrors.flatMap((a) => a.members).find((m) => m.device === window.device) ?? null) : null;
  const usable = connection !== null && isCurrent(connection, record, epoch) && connection.state === "live" ? connection.device : null;
  return {
    record,
    uuid,
    mirror: record.mirror,
    local,
    partition,
    exports: host.exports.filter((e) => e.partitionUUID === uuid),
    connection,
    connections,
    window,
    inArray,
    path: local ? (partition?.device ?? null) : usable,
    recorded: status.mirrors?.[record.mirror]?.inSync.includes(uuid) ?? false,
  };
}

/** A connection may be used if it is of this epoch and its attach number was not given up. */
export function isCurrent(connection: Connection, record: PartitionRecord, epoch: number): boolean {
  return connection.epoch === epoch && connection.attach > (record.detachedAttach ?? 0);
}

/** The path below a member in use is gone: drive away, connection not live, device dead, or MD gave it up. */
export function isLost(member: MemberView): boolean {
  if (member.inArray?.flags.includes("faulty")) return true;
  if (member.window && member.window.below === null) return true;
  return member.path === null || (member.window !== null && member.window.below !== member.path);
}

/** In the array, counted on by MD, and its path does not answer: MD's membership operations would wait for it (Z3). */
export function isHeld(m: MemberView): boolean {
  return m.inArray !== null && !m.inArray.flags.includes("faulty") && isLost(m);
}

/** Epoch of what is assembled here: of the newest window; null if there is none. */
export function runningEpoch(view: VolumeView): number | null {
  const epochs = view.members.flatMap((m) => (m.window ? [m.window.epoch] : []));
  return epochs.length > 0 ? Math.max(...epochs) : null;
}

/**
 * I4: the array was assembled in the recorded epoch: every member is a window of ours that was opened in it.
 * Anything else on this array (an older epoch, a host tool that assembled it) is not ours to go on with.
 */
export function runsInEpoch(view: VolumeView, mirror: MirrorView): boolean {
  const windows = mirror.members.flatMap((m) => (m.window?.epoch === view.epoch ? [m.window.device] : []));
  return mirror.array !== null && mirror.array.members.length > 0 && mirror.array.members.every((m) => windows.includes(m.device));
}

/**
 * Name of what carries a member now; part of a loss's identity (I1). The window stays from the loss to
 * the removal, and is opened on one connection only; the connection is gone half-way.
 */
export function throughOf(member: MemberView): string {
  if (member.window) return member.window.device;
  return member.connection ? `${member.connection.controller}:${member.connection.nqn}` : "none";
}

/** True while MD copies. A "frozen" array copies nothing: an operation works on it, or was ended half-way (mdadm, sysfs_freeze_array). */
export function isSyncing(array: Mirror | null): array is Mirror {
  return array !== null && array.syncAction !== "idle" && array.syncAction !== "frozen";
}
