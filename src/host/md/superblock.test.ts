import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MiB } from "../../base/units.ts";
import { dirtyChunks, parseBitmapHeader } from "./bitmap.ts";
import { BITMAP, LEFT, SURVIVOR } from "./metadata.fixture.ts";
import type { MemberMetadata } from "./raw.ts";
import { reAddDoubt } from "./readd-rules.ts";
import type { Superblock } from "./superblock.ts";
import { hasUnknownPadding, parseSuperblock, superblockChecksum, SUPERBLOCK_BYTES, withoutLogicalBlockSize } from "./superblock.ts";

const ARRAY = "a1b2c3d4-e5f6-4711-8899-aabbccddeeff";

function parsed(block: Buffer): Superblock {
  const reading = parseSuperblock(block);
  assert.ok(reading.ok, reading.ok ? "" : reading.reason);
  return reading.superblock;
}

test("superblocks of real members", () => {
  const survivor = parsed(SURVIVOR);
  const left = parsed(LEFT);
  assert.deepEqual(
    { ...survivor, deviceUUID: "" },
    {
      arrayUUID: ARRAY,
      deviceUUID: "",
      name: "any:vol-m0",
      features: 1,
      level: 1,
      sizeBytes: 100 * MiB,
      raidDisks: 2,
      bitmapOffset: 8192,
      dataOffset: 7 * MiB,
      dataSize: 193 * MiB,
      events: 7n,
      writeMostly: false,
      failFast: false,
      hasBadBlockLog: false,
      logicalBlockSize: 0,
      role: 0,
      deviceNumber: 0,
    },
  );
  assert.deepEqual([left.arrayUUID, left.role, left.writeMostly, left.events < survivor.events, hasUnknownPadding(LEFT)], [ARRAY, 1, true, true, false]);
});

test("the bitmap of a real survivor", () => {
  const reading = parseBitmapHeader(BITMAP);
  assert.ok(reading.ok);
  assert.deepEqual(reading.header, {
    arrayUUID: ARRAY,
    events: 7n,
    eventsCleared: reading.header.eventsCleared,
    syncBytes: 100 * MiB,
    state: 0,
    chunkBytes: MiB,
    writeBehind: 0,
    bits: 100,
  });
  assert.deepEqual(dirtyChunks(BITMAP, reading.header), [3, 4, 78]);
});

test("any one changed byte that the checksum covers is noticed", () => {
  const covered = 256 + 2 * SURVIVOR.readUInt32LE(220);
  fc.assert(
    fc.property(fc.nat(covered - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const block = Buffer.from(SURVIVOR);
      block[at] = block[at]! ^ change;
      assert.equal(parseSuperblock(block).ok, false);
    }),
  );
});

test("no block of bytes makes the parser throw", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 0, maxLength: SUPERBLOCK_BYTES }), (bytes) => void parseSuperblock(Buffer.from(bytes))));
});

test("the logical block size of newer kernels is taken out, and the checksum is right again (E24)", () => {
  const newer = Buffer.from(SURVIVOR);
  newer.writeUInt32LE(512, 224);
  newer.writeUInt32LE(superblockChecksum(newer), 216);
  assert.equal(parsed(newer).logicalBlockSize, 512);
  assert.deepEqual(withoutLogicalBlockSize(newer), SURVIVOR);
});

function metadata(change: { superblock?: Partial<Superblock>; header?: object } = {}): MemberMetadata {
  const reading = parseBitmapHeader(BITMAP);
  assert.ok(reading.ok);
  return { superblock: { ...parsed(SURVIVOR), ...change.superblock }, header: { ...reading.header, ...change.header }, dirty: [] };
}

test("a re-add by bitmap needs everything to agree (I5)", () => {
  const other = { superblock: { arrayUUID: "other" } };
  const doubts = [
    reAddDoubt(ARRAY, metadata({ superblock: { role: 1, events: 5n } }), metadata()),
    reAddDoubt(ARRAY, metadata(other), metadata()),
    reAddDoubt(ARRAY, metadata(), metadata(other)),
    reAddDoubt(ARRAY, metadata({ superblock: { hasBadBlockLog: true } }), metadata()),
    reAddDoubt(ARRAY, metadata(), metadata({ superblock: { failFast: true } })),
    reAddDoubt(ARRAY, metadata({ superblock: { sizeBytes: 5 } }), metadata()),
    reAddDoubt(ARRAY, metadata({ superblock: { dataOffset: 5 } }), metadata()),
    reAddDoubt(ARRAY, metadata({ superblock: { role: null } }), metadata()),
    reAddDoubt(ARRAY, metadata({ superblock: { features: 1 | 2 } }), metadata()),
    reAddDoubt(ARRAY, metadata({ superblock: { features: 1 | 2 | 64 } }), metadata()),
    reAddDoubt(ARRAY, metadata({ header: { chunkBytes: 2 * MiB } }), metadata()),
    reAddDoubt(ARRAY, metadata({ header: { syncBytes: 5 } }), metadata()),
    reAddDoubt(ARRAY, metadata({ header: { arrayUUID: "other" } }), metadata()),
    reAddDoubt(ARRAY, metadata(), metadata({ header: { writeBehind: 1 } })),
    reAddDoubt(ARRAY, metadata({ superblock: { events: 5n } }), metadata({ header: { eventsCleared: 6n } })),
  ];
  assert.deepEqual(doubts, [
    null,
    "the returning member belongs to array other",
    "the survivor belongs to array other",
    "there is a bad-block log",
    "a member is marked failfast",
    "the sizes are 5 and 104857600",
    "the data begin at 5 and 7340032",
    "the returning member's superblock gives it no slot",
    "the returning member was being rebuilt in full when it left",
    null,
    "the bitmap chunks are 2097152 and 1048576 bytes",
    "the bitmaps cover 5 and 104857600 bytes",
    "a bitmap belongs to another array",
    "write-behind is on",
    "the survivor cleared bits at event 6, the member left at 5",
  ]);
});
