import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bitmapBytes, BITMAP_HEADER, dirtyChunks, missingFrom, parseBitmapHeader, SET_BITS_LIMIT, setBitsTexts, union } from "./bitmap.ts";

function header(chunkBytes: number, syncBytes: number, version = 4): Buffer {
  const block = Buffer.alloc(4096);
  block.writeUInt32LE(0x6d746962, 0);
  block.writeUInt32LE(version, 4);
  block.writeBigUInt64LE(BigInt(syncBytes / 512), 40);
  block.writeUInt32LE(chunkBytes, 52);
  return block;
}

const chunkLists = fc.uniqueArray(fc.nat(100_000), { maxLength: 2000 }).map((list) => list.toSorted((a, b) => a - b));

/** What bitmap_set_bits of the kernel reads out of a text (md.c, bitmap_store). */
function readBack(texts: readonly string[]): number[] {
  const chunks = texts.flatMap((text) =>
    text.split(" ").flatMap((word) => {
      const [first, last = first] = word.split("-").map(Number);
      return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
    }),
  );
  return chunks;
}

test("the texts for the kernel name exactly the chunks, and none is longer than a write may be", () => {
  fc.assert(
    fc.property(chunkLists, (chunks) => {
      const texts = setBitsTexts(chunks);
      assert.deepEqual(readBack(texts), chunks);
      assert.ok(texts.every((text) => text.length <= SET_BITS_LIMIT && text !== ""));
    }),
  );
});

test("a text is cut between words, also with a tiny limit", () => {
  assert.deepEqual(setBitsTexts([1, 2, 3, 7, 9, 10], 6), ["1-3 7", "9-10"]);
});

test("bits on disk become chunk numbers, and only those that count", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3000 }), chunkLists, (bits, list) => {
      const raw = Buffer.concat([header(65_536, bits * 65_536), Buffer.alloc(100_000 / 8 + 8)]).subarray(0, BITMAP_HEADER + 13_000);
      for (const chunk of list) raw[BITMAP_HEADER + (chunk >> 3)]! |= 1 << (chunk & 7);
      const reading = parseBitmapHeader(raw);
      assert.ok(reading.ok);
      assert.equal(reading.header.bits, bits);
      assert.deepEqual(
        dirtyChunks(raw, reading.header),
        list.filter((chunk) => chunk < bits),
      );
      assert.ok(bitmapBytes(reading.header) % 4096 === 0 && bitmapBytes(reading.header) >= BITMAP_HEADER + bits / 8);
    }),
  );
});

test("the union holds both, sorted and once; what is missing is named", () => {
  fc.assert(
    fc.property(chunkLists, chunkLists, (a, b) => {
      const both = union(a, b);
      assert.deepEqual(
        both,
        [...new Set([...a, ...b])].toSorted((x, y) => x - y),
      );
      assert.deepEqual(missingFrom(both, a), []);
      assert.deepEqual(
        missingFrom(a, both),
        b.filter((chunk) => !a.includes(chunk)),
      );
    }),
    { numRuns: 30 },
  );
});

test("a clustered or lockless bitmap, a strange chunk size or no bitmap at all is refused", () => {
  const reasons = [
    parseBitmapHeader(Buffer.alloc(4096)),
    parseBitmapHeader(header(65_536, 1 << 20, 5)),
    parseBitmapHeader(header(65_536, 1 << 20, 6)),
    parseBitmapHeader(header(60_000, 1 << 20)),
    parseBitmapHeader(header(65_536, 0)),
  ];
  assert.deepEqual(
    reasons.map((r) => (r.ok ? "ok" : r.reason)),
    [
      "there is no MD bitmap",
      "MD bitmap of version 5",
      "MD bitmap of version 6",
      "MD bitmap with chunks of 60000 bytes over 1048576 bytes",
      "MD bitmap with chunks of 65536 bytes over 0 bytes",
    ],
  );
});

test("a bitmap that was cut short is an error, never a clean one", () => {
  const raw = header(4096, 4096 * 100_000);
  const reading = parseBitmapHeader(raw);
  assert.ok(reading.ok);
  assert.throws(() => dirtyChunks(raw, reading.header), RangeError);
});
