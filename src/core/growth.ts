/**
 * How big a volume is in use, and how big it shall be. The size is recorded before anything is built by it: from then on no
 * member that is smaller is used, whatever its bitmap would say. Pure.
 */
import type { MeshStorVolume, PartitionRecord, VolumeSpec, VolumeStatus } from "../api/volume.ts";
import { PARTITION_OVERHEAD } from "../base/layout.ts";
import { roundUp } from "../base/units.ts";
import { mirrorSize, partitionSize } from "./sizes.ts";
import { isBlock } from "./staged.ts";

/** Stripe chunk, in whole ones of which a striped device has its size (host/dm/table.ts). */
const STRIPE_BYTES = 64 * 1024;

/** States of a partition that is part of the volume, or will be. */
const COUNTED: ReadonlySet<string> = new Set(["Requested", "Created", "Syncing", "Synced", "Spare", "Missing"]);

/** Capacity in bytes that the volume is built with; of a record that never grew, as its partitions were made. */
export function sizeInUse(volume: MeshStorVolume): number {
  const { spec, status } = volume;
  if (status?.sizeBytes !== undefined) return status.sizeBytes;
  const recorded = new Set((status?.mirrors ?? []).flatMap((m) => m.inSync));
  const counted = (status?.partitions ?? []).filter((p) => (recorded.size > 0 ? recorded.has(p.partitionUUID) : COUNTED.has(p.state)));
  if (counted.length === 0) return spec.capacityBytes;
  return Math.min(spec.capacityBytes, (Math.min(...counted.map((p) => p.sizeBytes)) - PARTITION_OVERHEAD) * spec.drivesPerCopy);
}

/** What mirrors, windows and devices are built by. */
export function specInUse(volume: MeshStorVolume): Pick<VolumeSpec, "capacityBytes" | "drivesPerCopy"> {
  return { capacityBytes: sizeInUse(volume), drivesPerCopy: volume.spec.drivesPerCopy };
}

/** The partition can carry a member of the volume as it is in use. */
export function isBigEnough(volume: MeshStorVolume, p: Pick<PartitionRecord, "sizeBytes">): boolean {
  return p.sizeBytes >= partitionSize(specInUse(volume));
}

/** Bytes that whoever uses the volume has: of its filesystem, or of the raw device, as far as the record says that they have grown. */
export function grownBytes(volume: MeshStorVolume): number {
  const { spec, status } = volume;
  if (isBlock(spec) || status?.sizeBytes === undefined) return sizeInUse(volume);
  return Math.min(status.sizeBytes, status.filesystem?.sizeBytes ?? 0);
}

/** More is wanted than is in use. */
export function mustGrow(volume: MeshStorVolume): boolean {
  return sizeInUse(volume) < volume.spec.capacityBytes;
}

/** Out of the array, and not to come into it before the record is read again. */
const AWAY: ReadonlySet<string> = new Set(["Missing", "Faulty", "Deleting", "Replacing", "Requested"]);

/** Too small for this capacity, and among those that must be big enough before the volume has it; `inUse`: in R, or in an array. */
export function keepsFromGrowing(p: PartitionRecord, inUse: boolean, size: Pick<VolumeSpec, "capacityBytes" | "drivesPerCopy">): boolean {
  return p.sizeBytes < partitionSize(size) && (inUse || !AWAY.has(p.state));
}

/** Size in bytes of the device over the mirrors. */
export function deviceSize(capacityBytes: number, mirrors: number): number {
  return mirrors === 1 ? capacityBytes : roundUp(capacityBytes, mirrors * STRIPE_BYTES);
}

/** The biggest device that mirrors of this size carry, up to the size in use. */
export function carriedSize(volume: MeshStorVolume, arrayBytes: readonly number[]): number {
  const mirrors = volume.spec.drivesPerCopy;
  return Math.min(sizeInUse(volume), Math.min(...arrayBytes.map((size) => Math.min(size, mirrorSize(specInUse(volume))))) * mirrors);
}

/** Before a partition of another size comes into the record, the size in use stands there by itself. */
export function withSize(volume: MeshStorVolume, status: VolumeStatus): VolumeStatus {
  return status.sizeBytes === undefined && mustGrow(volume) ? { ...status, sizeBytes: sizeInUse(volume) } : status;
}

/** The space behind a partition takes it up to this size, and nothing else lies there. */
export function fitsBehind(table: { entries: readonly { startBytes: number; sizeBytes: number; uuid: string }[]; lastUsableByte: number }, uuid: string, toBytes: number): boolean {
  const own = table.entries.find((e) => e.uuid.toLowerCase() === uuid);
  if (!own) return false;
  const end = own.startBytes + toBytes;
  return end - 1 <= table.lastUsableByte && !table.entries.some((e) => e !== own && e.startBytes < end && own.startBytes < e.startBytes + e.sizeBytes);
}
