/** Superblock and bitmap of a member as they lie on the device below it, past every cache. */
import { MeshStorError } from "../../base/errors.ts";
import { node } from "../block.ts";
import { readDirect, writeDirect } from "../direct-io.ts";
import type { BitmapHeader } from "./bitmap.ts";
import { bitmapBytes, dirtyChunks, parseBitmapHeader } from "./bitmap.ts";
import type { Superblock, SuperblockReading } from "./superblock.ts";
import { parseSuperblock, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, withoutLogicalBlockSize } from "./superblock.ts";

/** Attempts to read a superblock whose checksum does not match: the kernel may be writing it. */
const ATTEMPTS = 3;

/** Superblock of a member (kernel name of its window), or why there is none. */
export async function readSuperblock(device: string): Promise<SuperblockReading> {
  let reading: SuperblockReading = { ok: false, reason: "not read" };
  for (let attempt = 0; attempt < ATTEMPTS && !reading.ok; attempt += 1) reading = parseSuperblock(await readDirect(node(device), SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES));
  return reading;
}

export interface MemberMetadata {
  superblock: Superblock;
  header: BitmapHeader;
  /** Chunks marked in the bitmap. */
  dirty: number[];
}

/** Superblock and bitmap of a member; throws Unsafe if either is missing or unsound (I5). */
export async function readMetadata(device: string): Promise<MemberMetadata> {
  const reading = await readSuperblock(device);
  if (!reading.ok) throw new MeshStorError("Unsafe", `${device}: ${reading.reason}`);
  const { superblock } = reading;
  const at = superblock.bitmapOffset;
  if (at === null) throw new MeshStorError("Unsafe", `${device}: its array has no bitmap`);
  if (at % 4096 !== 0 || at <= 0) throw new MeshStorError("Unsafe", `${device}: its bitmap begins at byte ${at}`);
  const first = parseBitmapHeader(await readDirect(node(device), at, 4096));
  if (!first.ok) throw new MeshStorError("Unsafe", `${device}: ${first.reason}`);
  const length = bitmapBytes(first.header);
  if (at + length > superblock.dataOffset) throw new MeshStorError("Unsafe", `${device}: its bitmap would reach into the data`);
  const raw = await readDirect(node(device), at, length);
  return { superblock, header: first.header, dirty: dirtyChunks(raw, first.header) };
}

/**
 * Zeroes the logical block size that Linux 6.19 and later write into a new superblock, so that older
 * kernels assemble the array (E24). Only on a stopped array that has been written once (events > 0):
 * the kernel then leaves the field as it is. Returns true if it changed anything.
 */
export async function clearLogicalBlockSize(device: string): Promise<boolean> {
  const block = await readDirect(node(device), SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES);
  const reading = parseSuperblock(block);
  if (!reading.ok) throw new MeshStorError("Unsafe", `${device}: ${reading.reason}`);
  if (reading.superblock.logicalBlockSize === 0) return false;
  if (reading.superblock.events === 0n) throw new MeshStorError("Unsafe", `${device}: its superblock was never written by the kernel`);
  await writeDirect(node(device), SUPERBLOCK_OFFSET, withoutLogicalBlockSize(block));
  const back = await readSuperblock(device);
  if (!back.ok || back.superblock.logicalBlockSize !== 0) throw new MeshStorError("Unsafe", `${device}: its superblock does not read back as written`);
  return true;
}
