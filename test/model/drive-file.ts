/** A member as it lies in the file behind its drive, read on the host: also while its node is off, frozen or cut off. */
import { closeSync, openSync, readSync } from "node:fs";
import { LABEL_AREA, PARTITION_OVERHEAD } from "../../src/base/layout.ts";
import { bitmapBytes, dirtyChunks, parseBitmapHeader } from "../../src/host/md/bitmap.ts";
import { parseSuperblock, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET } from "../../src/host/md/superblock.ts";
import type { Drive } from "../../lab/guest/drives.ts";

/** Entries of a GPT begin in the third sector, 128 bytes each; a UUID is at byte 16, the first sector at byte 32. */
const ENTRIES_AT = 2;
const ENTRIES = 128;
const ENTRY_BYTES = 128;

export interface Member {
  arrayUUID: string;
  events: number;
  dirty: number[];
  chunkBytes: number;
}

/** Where a partition is. */
export interface Place {
  drive: Drive;
  /** Number of the drive on its node. */
  index: number;
  /** First byte in the drive's file. */
  at: number;
}

/** Looks for a partition on some drives; null if none has it. */
export function findPlace(drives: readonly Drive[], partitionUUID: string): Place | null {
  const wanted = guidBytes(partitionUUID);
  for (const [index, drive] of drives.entries()) {
    const table = read(drive, drive.offset + ENTRIES_AT * drive.sectorSize, ENTRIES * ENTRY_BYTES);
    for (let at = 0; at < table.length; at += ENTRY_BYTES)
      if (table.subarray(at + 16, at + 32).equals(wanted)) return { drive, index, at: drive.offset + Number(table.readBigUInt64LE(at + 32)) * drive.sectorSize };
  }
  return null;
}

/** Superblock and bitmap of a member; null if it has none. */
export function readMember({ drive, at }: Place): Member | null {
  const window = at + LABEL_AREA;
  const reading = parseSuperblock(read(drive, window + SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES));
  if (!reading.ok) return null;
  const { arrayUUID, events, bitmapOffset } = reading.superblock;
  const bitmap = bitmapOffset === null ? null : window + bitmapOffset;
  const header = bitmap === null ? null : parseBitmapHeader(read(drive, bitmap, 4096));
  if (bitmap === null || !header?.ok) return null;
  const dirty = dirtyChunks(read(drive, bitmap, bitmapBytes(header.header)), header.header);
  return { arrayUUID, events: Number(events), dirty, chunkBytes: header.header.chunkBytes };
}

/** Bytes of a member's data area. */
export function readData({ drive, at }: Place, from: number, length: number): Buffer {
  return read(drive, at + PARTITION_OVERHEAD + from, length);
}

function read(drive: Drive, at: number, length: number): Buffer {
  const fd = openSync(drive.path, "r");
  try {
    const bytes = Buffer.alloc(length);
    readSync(fd, bytes, 0, length, at);
    return bytes;
  } finally {
    closeSync(fd);
  }
}

/** The first three parts of a GUID are little-endian on disk. */
export function guidBytes(uuid: string): Buffer {
  const [a = "", b = "", c = "", d = "", e = ""] = uuid.split("-");
  const turned = (hex: string) => Buffer.from(hex, "hex").toReversed();
  return Buffer.concat([turned(a), turned(b), turned(c), Buffer.from(d + e, "hex")]);
}
