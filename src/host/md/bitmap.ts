/**
 * MD's write-intent bitmap as it lies on a member: parsed, joined, and written as the text that
 * `md/bitmap_set_bits` takes. Pure. Layout: drivers/md/md-bitmap.h, struct bitmap_super_s, followed
 * at byte 256 by one little-endian bit per chunk of the array.
 */
import { uuidOf } from "./superblock.ts";

export const BITMAP_HEADER = 256;
const MAGIC = 0x6d746962;
/** Little-endian internal bitmap (BITMAP_MAJOR_HI); 5 is clustered, 6 lockless. */
const VERSION = 4;
/** Longest text for one write of bitmap_set_bits: sysfs cuts a write at 4096 bytes without an error (Z18). */
export const SET_BITS_LIMIT = 4000;

export interface BitmapHeader {
  arrayUUID: string;
  events: bigint;
  eventsCleared: bigint;
  /** Size in bytes that the bitmap covers. */
  syncBytes: number;
  state: number;
  chunkBytes: number;
  writeBehind: number;
  /** Number of bits that count. */
  bits: number;
}

export type BitmapReading = { ok: true; header: BitmapHeader } | { ok: false; reason: string };

/** Reads the header at the beginning of `block`. */
export function parseBitmapHeader(block: Buffer): BitmapReading {
  if (block.length < BITMAP_HEADER || block.readUInt32LE(0) !== MAGIC) return { ok: false, reason: "there is no MD bitmap" };
  if (block.readUInt32LE(4) !== VERSION) return { ok: false, reason: `MD bitmap of version ${block.readUInt32LE(4)}` };
  const chunkBytes = block.readUInt32LE(52);
  const syncBytes = Number(block.readBigUInt64LE(40)) * 512;
  if (chunkBytes < 4096 || (chunkBytes & (chunkBytes - 1)) !== 0 || syncBytes === 0)
    return { ok: false, reason: `MD bitmap with chunks of ${chunkBytes} bytes over ${syncBytes} bytes` };
  const header = {
    arrayUUID: uuidOf(block, 8),
    events: block.readBigUInt64LE(24),
    eventsCleared: block.readBigUInt64LE(32),
    syncBytes,
    state: block.readUInt32LE(48),
    chunkBytes,
    writeBehind: block.readUInt32LE(60),
    bits: Math.ceil(syncBytes / chunkBytes),
  };
  return { ok: true, header };
}

/** Bytes from the header's start to the last bit, rounded up to whole 4096-byte blocks. */
export function bitmapBytes(header: BitmapHeader): number {
  return Math.ceil((BITMAP_HEADER + Math.ceil(header.bits / 8)) / 4096) * 4096;
}

/** Numbers of the chunks whose bit is set, ascending. `raw` begins with the header. */
export function dirtyChunks(raw: Buffer, header: BitmapHeader): number[] {
  const chunks: number[] = [];
  for (let bit = 0; bit < header.bits; bit += 1) {
    const byte = raw[BITMAP_HEADER + (bit >> 3)];
    if (byte === undefined) throw new RangeError(`bitmap of ${raw.length} bytes has no bit ${bit}`);
    if (byte & (1 << (bit & 7))) chunks.push(bit);
  }
  return chunks;
}

/** Both lists in one, ascending, each chunk once. */
export function union(a: readonly number[], b: readonly number[]): number[] {
  return [...new Set([...a, ...b])].sort((x, y) => x - y);
}

/** Chunks of `wanted` that `present` lacks. */
export function missingFrom(present: readonly number[], wanted: readonly number[]): number[] {
  const have = new Set(present);
  return wanted.filter((chunk) => !have.has(chunk));
}

/** The chunks as texts for bitmap_set_bits, ranges joined, none longer than `limit` bytes (Z18). */
export function setBitsTexts(chunks: readonly number[], limit = SET_BITS_LIMIT): string[] {
  const texts: string[] = [];
  let line = "";
  for (const [first, last] of ranges(chunks)) {
    const word = first === last ? `${first}` : `${first}-${last}`;
    if (line !== "" && line.length + 1 + word.length > limit) {
      texts.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  return line === "" ? texts : [...texts, line];
}

function ranges(chunks: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (const chunk of chunks) {
    const last = found.at(-1);
    if (last && chunk === last[1] + 1) last[1] = chunk;
    else found.push([chunk, chunk]);
  }
  return found;
}
