import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PARTITION_OVERHEAD } from "../base/layout.ts";
import { GiB, MiB } from "../base/units.ts";
import { bitmapChunk, mirrorSize, partitionSize, slotsOf } from "./sizes.ts";
import { volume } from "./testing/builders.ts";

const spec = (capacityBytes: number, numberOfCopies = 2, drivesPerCopy = 1) => volume({}, { capacityBytes, numberOfCopies, drivesPerCopy }).spec;

test("slots are copies, at least two: one copy has a vacant one to move through", () => {
  assert.deepEqual(
    [1, 2, 3, 5].map((n) => slotsOf(spec(GiB, n))),
    [2, 2, 3, 5],
  );
});

test("a member's partition is its share in whole MiB and the overhead", () => {
  const half = spec(GiB + MiB, 2, 2);
  assert.deepEqual([mirrorSize(half), partitionSize(half)], [513 * MiB, 513 * MiB + PARTITION_OVERHEAD]);
});

test("bitmap chunk: finer for small mirrors, 64 MiB up to 1.875 TiB, then as coarse as the first page of the bitmap asks for", () => {
  assert.deepEqual(
    [512 * MiB, GiB, 8 * GiB, 1024 * GiB, 1920 * GiB, 1921 * GiB, 32 * 1024 * GiB].map((size) => bitmapChunk(size) / MiB),
    [4, 8, 64, 64, 64, 128, 2048],
  );
});

test("property: a mirror's share is whole MiB and the shares hold the volume; a chunk is a power of two of MiB", () => {
  fc.assert(
    fc.property(fc.integer({ min: 512 * MiB, max: 2 ** 50 }), fc.integer({ min: 1, max: 16 }), (bytes, drives) => {
      const share = mirrorSize(spec(bytes, 2, drives));
      assert.ok(share % MiB === 0 && share * drives >= bytes && (share - MiB) * drives < bytes);
      const chunk = bitmapChunk(share) / MiB;
      assert.ok(chunk >= 1 && Number.isInteger(Math.log2(chunk)) && share / (chunk * MiB) <= 30_720);
      assert.ok(chunk <= 64 || share / ((chunk / 2) * MiB) > 30_720);
    }),
  );
});
