/** How big the mirrors of a volume are, and how many slots they have. Pure. */
import type { VolumeSpec } from "../api/volume.ts";
import { PARTITION_OVERHEAD } from "../base/layout.ts";
import { MiB, roundUp } from "../base/units.ts";

/** Copies are slots: one copy still has a second, vacant one, through which it can move. */
export function slotsOf(spec: VolumeSpec): number {
  return Math.max(2, spec.numberOfCopies);
}

/** Size of one mirror in bytes: its share of the volume, in whole MiB (so also in whole 64 KiB stripe chunks). */
export function mirrorSize(spec: Pick<VolumeSpec, "capacityBytes" | "drivesPerCopy">): number {
  return roundUp(spec.capacityBytes / spec.drivesPerCopy, MiB);
}

/** Size of the partition that carries one member of a mirror. */
export function partitionSize(spec: Pick<VolumeSpec, "capacityBytes" | "drivesPerCopy">): number {
  return mirrorSize(spec) + PARTITION_OVERHEAD;
}

/** Bits of a bitmap's first 4 KiB, beside its header of 256 bytes. */
const FIRST_PAGE_BITS = (4096 - 256) * 8;

/**
 * Write-intent chunk: mdadm's own default of 64 MiB from 8 GiB on, finer below so that a resync copies less; coarser
 * only where the bits would not fit into the bitmap's first page. MD writes that page to every member with each
 * superblock, before a rebuilt member shows as in sync; later pages follow seconds after. So a member that enters R
 * carries the whole bitmap, and an epoch that starts from it alone still knows what the absent ones miss (I5).
 */
export function bitmapChunk(sizeBytes: number): number {
  const wanted = sizeBytes / 128;
  let chunk = MiB;
  while ((chunk < wanted && chunk < 64 * MiB) || sizeBytes / chunk > FIRST_PAGE_BITS) chunk *= 2;
  return chunk;
}
