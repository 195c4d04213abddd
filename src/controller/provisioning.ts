/** A volume from its request to its first use, as a pure function of the record. */
import { API_GROUP, API_VERSION, FINALIZER } from "../api/names.ts";
import { FS_TYPES, type MeshStorVolume, type PartitionRecord, type VolumeStatus } from "../api/volume.ts";
import type { PlacedCopy } from "../core/placement/types.ts";
import type { CreateRequest } from "../csi/controller-port.ts";

/**
 * Annotation of a volume that CreateVolume made: Pending until the caller was told that it exists.
 * Only what is Pending is ever collected as half-made; a volume made by hand has no such annotation.
 */
export const PROVISIONING = `${API_GROUP}/provisioning`;

/** The object for a request; its sector size is fixed by the placement, so that later copies match. */
export function newVolume(request: CreateRequest, sectorSize?: number): MeshStorVolume {
  const { numberOfCopies, drivesPerCopy, memberMissingTimeout } = request.parameters;
  const { volumeID, requestedName, capacityBytes, volumeMode, fsType } = request;
  return {
    apiVersion: `${API_GROUP}/${API_VERSION}`,
    kind: "MeshStorVolume",
    metadata: { name: volumeID, finalizers: [FINALIZER], annotations: { [PROVISIONING]: "Pending" } },
    spec: {
      capacityBytes,
      numberOfCopies,
      drivesPerCopy,
      memberMissingTimeout,
      ...(volumeMode === "Block" && { volumeMode }),
      fsType: fsType ?? FS_TYPES[0],
      ...(sectorSize !== undefined && { sectorSize }),
      ...(requestedName !== volumeID && { requestedName }),
    },
  };
}

/** True if CreateVolume made the volume and has not told anybody yet. */
export function isPending(volume: MeshStorVolume): boolean {
  return volume.metadata.annotations?.[PROVISIONING] === "Pending";
}

/** True until some node has claimed the volume for the first time. */
export function isUnused(status: VolumeStatus | undefined): boolean {
  return status?.owner === undefined && status?.mirrors === undefined && (status?.epoch ?? 0) === 0;
}

/** What a record needs beside the placement; ids and times are made by the shell. */
export interface Stamp {
  now: string;
  newID: () => string;
}

/** Entries for freshly placed copies; `mirrors` are the mirrors whose members a copy's drives take (all of them without it). */
export function requestedPartitions(copies: readonly PlacedCopy[], sizeBytes: number, stamp: Stamp, mirrors?: readonly number[]): PartitionRecord[] {
  return copies.flatMap(({ node, drives }) =>
    drives.map((drive, i): PartitionRecord => ({
      partitionUUID: stamp.newID(),
      nodeID: node,
      drive,
      mirror: mirrors?.[i] ?? i,
      state: "Requested",
      sizeBytes,
      updatedAt: stamp.now,
    })),
  );
}

/** Gives never-used entries up: their node wipes and frees what there is of them, then takes them out of the record. */
export function givenUp(status: VolumeStatus, uuids: ReadonlySet<string>, now: string): PartitionRecord[] {
  return (status.partitions ?? []).map((p) => (uuids.has(p.partitionUUID) ? { ...p, state: "Deleting" as const, detached: true, updatedAt: now } : p));
}

/** How far a volume is on its way to its first use. */
export type Progress = { kind: "unplaced" } | { kind: "misplaced"; sentence: string } | { kind: "waiting"; sentence: string } | { kind: "ready" };

/** True for a partition that will not be made where it is. */
export type Misplaced = (partition: PartitionRecord) => boolean;

/** Its node reported that it cannot be made. */
export const isFaulty: Misplaced = (partition) => partition.state === "Faulty";

export function progressOf(volume: MeshStorVolume, misplaced: Misplaced = isFaulty): Progress {
  const { status, metadata } = volume;
  if (!isUnused(status)) return { kind: "ready" };
  const wanted = (status?.partitions ?? []).filter((p) => p.state !== "Deleting");
  if (wanted.length === 0) return { kind: "unplaced" };
  const failed = wanted.find(misplaced);
  if (failed) return { kind: "misplaced", sentence: failureOf(failed) };
  const open = wanted.filter((p) => p.state === "Requested");
  if (open.length === 0) return { kind: "ready" };
  const nodes = [...new Set(open.map((p) => `node ${p.nodeID}${p.progress === undefined ? "" : ` (${p.progress})`}`))].join(", ");
  return { kind: "waiting", sentence: `volume ${metadata.name}: ${wanted.length - open.length} of ${wanted.length} partitions are made and zeroed; waiting for ${nodes}` };
}

/** Why a partition will not be made where it is. */
export function failureOf(partition: PartitionRecord): string {
  if (partition.state !== "Faulty") return `node ${partition.nodeID} has no fresh heartbeat`;
  return `node ${partition.nodeID}: ${partition.message ?? `the partition on drive ${partition.drive} could not be made`}`;
}
