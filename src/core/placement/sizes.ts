/** What fits into partitions, and how sizes are written in sentences. */
import { PARTITION_OVERHEAD } from "../../base/layout.ts";
import { GiB, MiB, roundDown } from "../../base/units.ts";

/** The biggest volume, in whole MiB, whose members fit into partitions of this size; 0 if none. */
export function capacityOfPartitions(partitionBytes: number, drivesPerCopy: number): number {
  return Math.max(0, roundDown(partitionBytes - PARTITION_OVERHEAD, MiB) * drivesPerCopy);
}

/** A size in whole GiB or MiB, so that two sizes that differ never read the same. */
export function exactSize(bytes: number): string {
  if (bytes !== 0 && bytes % GiB === 0) return `${bytes / GiB} GiB`;
  return `${Math.floor(bytes / MiB)} MiB`;
}
