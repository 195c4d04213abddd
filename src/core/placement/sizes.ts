/** How big the parts of a volume are. */
import { PARTITION_OVERHEAD } from "../../base/layout.ts";
import { GiB, MiB, roundDown, roundUp } from "../../base/units.ts";

/** Size of the volume inside one mirror: its share of the capacity, in whole MiB (so also in whole 64 KiB stripe chunks). */
export function mirrorSizeBytes(capacityBytes: number, drivesPerCopy: number): number {
  return roundUp(capacityBytes / drivesPerCopy, MiB);
}

/** Size of the partition that carries one member of a mirror. */
export function partitionSizeBytes(mirrorBytes: number): number {
  return mirrorBytes + PARTITION_OVERHEAD;
}

/** The biggest volume, in whole MiB, whose members fit into partitions of this size; 0 if none. */
export function capacityOfPartitions(partitionBytes: number, drivesPerCopy: number): number {
  return Math.max(0, roundDown(partitionBytes - PARTITION_OVERHEAD, MiB) * drivesPerCopy);
}

/** A size in whole GiB or MiB, so that two sizes that differ never read the same. */
export function exactSize(bytes: number): string {
  if (bytes !== 0 && bytes % GiB === 0) return `${bytes / GiB} GiB`;
  return `${Math.floor(bytes / MiB)} MiB`;
}
