/** Changes of sizes in the record: a partition that was made bigger, or cannot be; the volume; its filesystem. Pure. */
import type { MeshStorVolume, PartitionRecord, VolumeStatus } from "../api/volume.ts";
import { keepsFromGrowing, withSize } from "./growth.ts";
import type { RecordContext, RecordResult } from "./record-base.ts";
import { accept, findPartition, mapPartition, refuse } from "./record-base.ts";
import { partitionSize } from "./sizes.ts";

/** Its node has made it bigger, and what was added reads as zeroes (I7). */
export function recordPartitionGrown(volume: MeshStorVolume, action: { partitionUUID: string; sizeBytes: number }, context: RecordContext): RecordResult {
  const status = withSize(volume, volume.status ?? {});
  const partition = findPartition(status, action.partitionUUID);
  if (!partition || partition.nodeID !== context.me.nodeName) return refuse(`partition ${action.partitionUUID} is not on this node`);
  if (action.sizeBytes < partition.sizeBytes) return refuse(`partition ${action.partitionUUID} has ${partition.sizeBytes} bytes in the record: it does not shrink`);
  // Said once more, and late: what was decided about the partition since stands.
  if (action.sizeBytes === partition.sizeBytes) return accept(status);
  const grown = (p: PartitionRecord): PartitionRecord => {
    const { tight: _tight, progress: _progress, ...rest } = p;
    return { ...rest, sizeBytes: action.sizeBytes };
  };
  return accept({ ...status, partitions: mapPartition(status, action.partitionUUID, grown) });
}

/** There is no room behind it: the controller places a bigger one, which takes its place. */
export function recordTight(volume: MeshStorVolume, uuid: string, context: RecordContext): RecordResult {
  const status = withSize(volume, volume.status ?? {});
  const partition = findPartition(status, uuid);
  if (!partition || partition.nodeID !== context.me.nodeName) return refuse(`partition ${uuid} is not on this node`);
  return accept({ ...status, partitions: mapPartition(status, uuid, (p) => ({ ...p, tight: true })) });
}

/**
 * The volume is bigger from here on: every member that is in the array, or may come into it before this is read again, is big
 * enough. Those that are away lose their claim on the bitmap: it is made by another size, and they come back in full (I5).
 */
export function recordSize(volume: MeshStorVolume, capacityBytes: number): RecordResult {
  const status = volume.status ?? {};
  if (capacityBytes > volume.spec.capacityBytes) return refuse(`${capacityBytes} bytes are more than is wanted`);
  if (capacityBytes < (status.sizeBytes ?? 0)) return refuse(`the volume has ${status.sizeBytes} bytes: it does not shrink`);
  const size = { capacityBytes, drivesPerCopy: volume.spec.drivesPerCopy };
  const recorded = new Set((status.mirrors ?? []).flatMap((m) => m.inSync));
  const small = (status.partitions ?? []).find((p) => keepsFromGrowing(p, recorded.has(p.partitionUUID), size));
  if (small) return refuse(`partition ${small.partitionUUID} has ${small.sizeBytes} bytes, ${partitionSize(size)} are needed`);
  const partitions = (status.partitions ?? []).map(({ outSince: _claim, ...p }) => p);
  return accept({ ...status, sizeBytes: capacityBytes, partitions });
}

export function recordFilesystemGrown(status: VolumeStatus, sizeBytes: number): RecordResult {
  if (!status.filesystem?.formattedAt) return refuse("there is no filesystem (I6)");
  return accept({ ...status, filesystem: { ...status.filesystem, sizeBytes } });
}
