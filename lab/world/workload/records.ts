/** The records that the writer appends and the checker proves: one 4 KiB block each, with sequence number and checksum. */
import { crc32 } from "node:zlib";

export const RECORD_SIZE = 4096;

/** Record number `seq` (from 1) of a run. */
export function encodeRecord(run: number, seq: number): Buffer {
  const block = Buffer.alloc(RECORD_SIZE, (seq * 31 + run) & 0xff);
  block.write("MSREC001", 0, "latin1");
  block.writeUInt32LE(run, 8);
  block.writeUInt32LE(seq, 12);
  block.writeUInt32LE(crc32(block.subarray(8)) >>> 0, 4);
  return block;
}

/** Reads a block back; null if it is not a whole record. */
export function decodeRecord(block: Buffer): { run: number; seq: number } | null {
  const run = block.readUInt32LE(8);
  const seq = block.readUInt32LE(12);
  return block.equals(encodeRecord(run, seq)) ? { run, seq } : null;
}
