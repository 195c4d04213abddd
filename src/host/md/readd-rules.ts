/** Whether a member may come back by bitmap (I5): what must agree between it and a survivor. Pure. */
import type { MemberMetadata } from "./raw.ts";
import { FEATURE_RECOVERY_BITMAP, FEATURE_RECOVERY_OFFSET } from "./superblock.ts";

/** The first thing that does not fit, as a sentence; null if the bitmaps may be joined. */
export function reAddDoubt(arrayUUID: string, returning: MemberMetadata, survivor: MemberMetadata): string | null {
  const [r, s] = [returning.superblock, survivor.superblock];
  if (s.arrayUUID !== arrayUUID) return `the survivor belongs to array ${s.arrayUUID}`;
  if (r.arrayUUID !== arrayUUID) return `the returning member belongs to array ${r.arrayUUID}`;
  if (r.hasBadBlockLog || s.hasBadBlockLog) return "there is a bad-block log";
  if (r.failFast || s.failFast) return "a member is marked failfast";
  if (r.level !== s.level || r.level !== 1) return `the levels are ${r.level} and ${s.level}`;
  if (r.sizeBytes !== s.sizeBytes) return `the sizes are ${r.sizeBytes} and ${s.sizeBytes}`;
  if (r.dataOffset !== s.dataOffset) return `the data begin at ${r.dataOffset} and ${s.dataOffset}`;
  if (r.role === null) return "the returning member's superblock gives it no slot";
  // A rebuild in full that was cut short has a recovery offset without a bitmap: nothing but a full rebuild mends it.
  if (r.features & FEATURE_RECOVERY_OFFSET && !(r.features & FEATURE_RECOVERY_BITMAP)) return "the returning member was being rebuilt in full when it left";
  return bitmapDoubt(arrayUUID, returning, survivor);
}

function bitmapDoubt(arrayUUID: string, returning: MemberMetadata, survivor: MemberMetadata): string | null {
  const [r, s] = [returning.header, survivor.header];
  if (r.arrayUUID !== arrayUUID || s.arrayUUID !== arrayUUID) return "a bitmap belongs to another array";
  if (r.chunkBytes !== s.chunkBytes) return `the bitmap chunks are ${r.chunkBytes} and ${s.chunkBytes} bytes`;
  if (r.syncBytes !== s.syncBytes) return `the bitmaps cover ${r.syncBytes} and ${s.syncBytes} bytes`;
  if (r.writeBehind !== 0 || s.writeBehind !== 0) return "write-behind is on";
  // md.c, super_1_validate: bits were cleared after this member last took part.
  if (returning.superblock.events < s.eventsCleared) return `the survivor cleared bits at event ${s.eventsCleared}, the member left at ${returning.superblock.events}`;
  return null;
}
