/** Readable builders for tests: volumes, records, identities. Nodes are called a, b, c …; their partitions aaaa…, bbbb…. */
import type { MeshStorVolume, MirrorRecord, PartitionRecord, VolumeStatus } from "../../api/volume.ts";
import { PARTITION_OVERHEAD } from "../../base/layout.ts";
import { GiB } from "../../base/units.ts";
import { boundsOf } from "../bounds.ts";
import type { DriveTable, HostSnapshot } from "../observed.ts";
import type { Intent, PlanInput } from "../plan.ts";
import { partitionSize } from "../sizes.ts";
import type { RecordContext } from "../record.ts";
import { EMPTY_SESSION } from "../session.ts";

export const VOLUME_NAME = "pvc-1";
export const VOLUME_UID = "0a0a0a0a-1111-4222-8333-444444444444";
export const STAGING = "/staging";
/** How the UUIDs of partitions begin that are another volume's. */
export const NEIGHBOUR = "eeeeeeee";
/** Where a pod has it. */
export const PUBLISHED = "/pod";
/** How often a heartbeat is written (kube/lease.ts). */
export const LEASE_RENEW_MS = 10_000;
export const NOW = "2026-11-20T10:00:00Z";

/** Partition UUID of a node's member: `part("a")`, second mirror `part("a", 1)`. */
export function part(node: string, mirror = 0): string {
  return `${node.repeat(8)}-0000-4000-8000-00000000000${mirror}`;
}
export function arrayUUID(mirror = 0): string {
  return `ffff0000-0000-4000-8000-00000000000${mirror}`;
}
export function nodeUID(node: string): string {
  return `${node.repeat(8)}-aaaa-4aaa-8aaa-aaaaaaaaaaaa`;
}
export function driveID(node: string, index = 0): string {
  return `SERIAL${node}${index}:1`;
}

/** A node in one of its boots. */
export function identity(node: string, boot = 1): PlanInput["me"] {
  return { nodeName: node, nodeUID: nodeUID(node), bootID: `boot-${node}-${boot}`, address: `10.0.0.${node.charCodeAt(0) - 96}`, port: 4420 };
}
export function ownerOf(node: string, start: "First" | "Clean" | "Unclean" = "Clean", boot = 1): NonNullable<VolumeStatus["owner"]> {
  return { nodeName: node, nodeUID: nodeUID(node), bootID: `boot-${node}-${boot}`, since: NOW, start };
}

/** A member of the record; Synced in mirror 0 unless told. */
export function partition(node: string, change: Partial<PartitionRecord> = {}): PartitionRecord {
  const mirror = change.mirror ?? 0;
  const base = {
    partitionUUID: part(node, mirror),
    nodeID: node,
    drive: driveID(node, mirror),
    mirror,
    state: "Synced" as const,
    sizeBytes: GiB + PARTITION_OVERHEAD,
    updatedAt: NOW,
  };
  return { ...base, ...change };
}

/** An export announced by its provider for the owner of `epoch`. */
export function exported(node: string, epoch: number, attach: number, boot = 1): NonNullable<PartitionRecord["export"]> {
  return { epoch, attach, bootID: `boot-${node}-${boot}`, transport: "tcp", address: identity(node).address, port: 4420 };
}

/** A mirror made, with these nodes' members in R. */
export function mirror(inSync: string[], change: Partial<MirrorRecord> = {}): MirrorRecord {
  const index = change.index ?? 0;
  return { index, arrayUUID: arrayUUID(index), created: true, generation: 1, inSync: inSync.map((node) => part(node, index)), ...change };
}

export function volume(status: VolumeStatus, change: Partial<MeshStorVolume["spec"]> = {}, metadata: Partial<MeshStorVolume["metadata"]> = {}): MeshStorVolume {
  const spec: MeshStorVolume["spec"] = { capacityBytes: GiB, numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900, fsType: "xfs", ...change };
  return { apiVersion: "csi.meshstor.io/v1alpha1", kind: "MeshStorVolume", metadata: { name: VOLUME_NAME, uid: VOLUME_UID, ...metadata }, spec, status };
}

/** Size of a member's partition of this volume. */
export function memberBytes(v: MeshStorVolume): number {
  return partitionSize(v.spec);
}

export function emptyHost(node: string, boot = 1): HostSnapshot {
  const lists = { drives: [], partitions: [], exports: [], connections: [], windows: [], mirrors: [], volumeDevices: [], mounts: [] };
  return { bootID: `boot-${node}-${boot}`, takenAtMs: 0, ...lists, stranded: 0 };
}

export function context(node: string, epoch: number, change: Partial<RecordContext> = {}): RecordContext {
  const { nodeName, nodeUID: uid, bootID, address, port } = identity(node);
  return { me: { nodeName, nodeUID: uid, bootID }, epoch, promiseMs: null, address, port, now: NOW, ids: [arrayUUID(0), arrayUUID(1)], ...change };
}

export const stage: Intent = { kind: "stage", stagingPath: STAGING, mountFlags: [], readOnly: false };
export const unstage: Intent = { kind: "unstage", stagingPath: STAGING };
export const none: Intent = { kind: "none" };

/** What the planner of a node is given. */
export function planInput(node: string, v: MeshStorVolume, host: HostSnapshot, change: Partial<PlanInput> = {}): PlanInput {
  const alone = { peers: null, bounds: boundsOf(), promiseMs: null, unattended: false };
  return { volume: v, host, me: identity(node), intent: none, session: EMPTY_SESSION, tables: new Map<string, DriveTable>(), nowMs: 0, ...alone, ...change };
}
