/**
 * MD superblock, version 1.2: parsed from a raw block, and the one patch we make to it. Pure.
 * Layout: include/uapi/linux/raid/md_p.h, struct mdp_superblock_1; checksum: calc_sb_1_csum in
 * drivers/md/md.c. All numbers are little endian; sectors are 512 bytes.
 */

/** Byte offset of the superblock on a 1.2 member, and the bytes to read there. */
export const SUPERBLOCK_OFFSET = 4096;
export const SUPERBLOCK_BYTES = 4096;
const MAGIC = 0xa92b4efc;
const HEADER = 256;
const CSUM_AT = 216;
/** From here to 256 is padding up to Linux 6.18; 6.19 put the logical block size into its first four bytes (E24). */
const PAD3_AT = 224;

export const FEATURE_BITMAP = 1;
export const FEATURE_RECOVERY_OFFSET = 2;
export const FEATURE_BAD_BLOCKS = 8;
export const FEATURE_RECOVERY_BITMAP = 64;

export interface Superblock {
  arrayUUID: string;
  deviceUUID: string;
  name: string;
  features: number;
  level: number;
  /** Used size of a member in bytes. */
  sizeBytes: number;
  raidDisks: number;
  /** Byte offset of the bitmap on the member; null without one. */
  bitmapOffset: number | null;
  dataOffset: number;
  dataSize: number;
  events: bigint;
  writeMostly: boolean;
  failFast: boolean;
  hasBadBlockLog: boolean;
  /** Field of Linux 6.19 and later; 0 elsewhere. */
  logicalBlockSize: number;
  /** Role of this device: its slot, or null (spare, faulty, journal). */
  role: number | null;
  deviceNumber: number;
}

export type SuperblockReading = { ok: true; superblock: Superblock } | { ok: false; reason: string };

/** Parses the block read at {@link SUPERBLOCK_OFFSET}; says why if it is no sound 1.2 superblock. */
export function parseSuperblock(block: Buffer): SuperblockReading {
  if (block.length < SUPERBLOCK_BYTES) return { ok: false, reason: "the block is too short" };
  if (block.readUInt32LE(0) !== MAGIC) return { ok: false, reason: "there is no MD superblock" };
  if (block.readUInt32LE(4) !== 1) return { ok: false, reason: `MD superblock of major version ${block.readUInt32LE(4)}` };
  const maxDev = block.readUInt32LE(220);
  if (HEADER + 2 * maxDev > SUPERBLOCK_BYTES) return { ok: false, reason: `MD superblock with ${maxDev} device roles` };
  if (superblockChecksum(block) !== block.readUInt32LE(CSUM_AT)) return { ok: false, reason: "the MD superblock's checksum does not match" };
  const superOffset = sectors(block, 144);
  if (superOffset !== SUPERBLOCK_OFFSET) return { ok: false, reason: `MD superblock that belongs at byte ${superOffset}` };
  return { ok: true, superblock: fields(block, maxDev) };
}

function fields(block: Buffer, maxDev: number): Superblock {
  const features = block.readUInt32LE(8);
  const deviceNumber = block.readUInt32LE(160);
  const role = deviceNumber < maxDev ? block.readUInt16LE(HEADER + 2 * deviceNumber) : 0xffff;
  const flags = block.readUInt8(184);
  return {
    arrayUUID: uuidOf(block, 16),
    deviceUUID: uuidOf(block, 168),
    name: block.subarray(32, 64).toString("utf8").replace(/\0.*$/s, ""),
    features,
    level: block.readInt32LE(72),
    sizeBytes: sectors(block, 80),
    raidDisks: block.readUInt32LE(92),
    bitmapOffset: features & FEATURE_BITMAP ? SUPERBLOCK_OFFSET + block.readInt32LE(96) * 512 : null,
    dataOffset: sectors(block, 128),
    dataSize: sectors(block, 136),
    events: block.readBigUInt64LE(200),
    writeMostly: (flags & 1) !== 0,
    failFast: (flags & 2) !== 0,
    hasBadBlockLog: (features & FEATURE_BAD_BLOCKS) !== 0 || (block.readUInt16LE(186) !== 0 && block.readInt32LE(188) !== 0),
    logicalBlockSize: block.readUInt32LE(PAD3_AT),
    role: role < 0xfff0 ? role : null,
    deviceNumber,
  };
}

function sectors(block: Buffer, at: number): number {
  return Number(block.readBigUInt64LE(at)) * 512;
}

/** 16 bytes as a UUID, in the order in which they lie (the kernel's %pU, sysfs md/uuid). */
export function uuidOf(block: Buffer, at: number): string {
  const hex = block.subarray(at, at + 16).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Sum of the block's 32-bit words up to the last role, without the checksum itself, folded once. */
export function superblockChecksum(block: Buffer): number {
  const size = HEADER + 2 * block.readUInt32LE(220);
  let sum = 0n;
  let at = 0;
  for (; at + 4 <= size; at += 4) if (at !== CSUM_AT) sum += BigInt(block.readUInt32LE(at));
  if (at < size) sum += BigInt(block.readUInt16LE(at));
  return Number(((sum & 0xffffffffn) + (sum >> 32n)) & 0xffffffffn);
}

/** The same superblock without the logical block size of Linux 6.19, so that older kernels take it (E24). */
export function withoutLogicalBlockSize(block: Buffer): Buffer {
  const next = Buffer.from(block);
  next.writeUInt32LE(0, PAD3_AT);
  next.writeUInt32LE(superblockChecksum(next), CSUM_AT);
  return next;
}

/** True if `block` may carry other things than the zeroes that Linux up to 6.18 writes into the padding. */
export function hasUnknownPadding(block: Buffer): boolean {
  return block.subarray(PAD3_AT + 4, HEADER).some((byte) => byte !== 0);
}
