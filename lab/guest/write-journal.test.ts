import assert from "node:assert/strict";
import { test } from "node:test";
import { readJournal } from "./write-journal.ts";

/** A journal as the kernel writes it: [sector, sectors, flags, data]. */
function journal(sectorSize: number, entries: readonly (readonly [number, number, number, string])[]): Buffer {
  const head = Buffer.alloc(sectorSize);
  head.writeBigUInt64LE(0x6a736677736872n, 0);
  head.writeBigUInt64LE(1n, 8);
  head.writeBigUInt64LE(BigInt(entries.length), 16);
  head.writeUInt32LE(sectorSize, 24);
  const parts = entries.flatMap(([sector, sectors, flags, data]) => {
    const entry = Buffer.alloc(sectorSize);
    [sector, sectors, flags, data.length].forEach((value, at) => entry.writeBigUInt64LE(BigInt(value), at * 8));
    if ((flags & 8) !== 0) entry.write(data, 32);
    return (flags & 4) === 0 ? [entry, Buffer.alloc(sectors * sectorSize, 1)] : [entry];
  });
  return Buffer.concat([head, ...parts]);
}

const read = (bytes: Buffer) => readJournal((at, length) => bytes.subarray(at, at + length));

test("writes, flushes, discards and marks", () => {
  const bytes = journal(512, [
    [8, 2, 0, ""],
    [0, 0, 1, ""],
    [16, 100, 4, ""],
    [24, 1, 2, ""],
    [0, 0, 8, "the-end"],
  ]);
  assert.deepEqual(read(bytes), [
    { at: 4096, length: 1024, data: 1024 },
    { at: 0, length: 0, data: 2560 },
    { at: 8192, length: 51_200, data: null },
    { at: 12_288, length: 512, data: 3584 },
    { at: 0, length: 0, data: null, mark: "the-end" },
  ]);
});

test("sectors of 4096 bytes; a device without a journal; another version", () => {
  assert.deepEqual(read(journal(4096, [[1, 1, 0, ""]])), [{ at: 4096, length: 4096, data: 8192 }]);
  assert.deepEqual(read(Buffer.alloc(512)), []);
  const other = journal(512, []);
  other.writeBigUInt64LE(2n, 8);
  assert.throws(() => read(other), /version 2/);
});
