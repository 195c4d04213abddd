import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PARTITION_OVERHEAD } from "../base/layout.ts";
import { GiB, MiB } from "../base/units.ts";
import { carriedSize, deviceSize, fitsBehind, grownBytes, isBigEnough, mustGrow, sizeInUse, withSize } from "./growth.ts";
import { applyRecord } from "./record.ts";
import { identity, mirror, ownerOf, part, partition, volume } from "./testing/builders.ts";

const member = (node: string, capacity: number, change = {}) => partition(node, { sizeBytes: capacity + PARTITION_OVERHEAD, ...change });
const inUse = (partitions: ReturnType<typeof partition>[], more = {}, capacityBytes = 2 * GiB) =>
  volume({ epoch: 1, owner: ownerOf("a"), mirrors: [mirror(["a", "b"])], partitions, ...more }, { capacityBytes });
const context = { me: identity("a"), epoch: 1, promiseMs: null, address: "", port: 0, now: "2026-11-21T00:00:00Z", ids: [] };

test("the size in use: as recorded; else as the members of R were made; of a volume without a place as it is wanted", () => {
  const old = inUse([member("a", GiB), member("b", GiB), member("c", 2 * GiB, { state: "Requested" })]);
  assert.deepEqual(
    [old, inUse([member("a", GiB), member("b", 2 * GiB)], { sizeBytes: GiB }), inUse([member("a", 2 * GiB), member("b", 2 * GiB)]), volume({}, { capacityBytes: GiB })].map((v) => [
      sizeInUse(v) / MiB,
      mustGrow(v),
    ]),
    [
      [1024, true],
      [1024, true],
      [2048, false],
      [1024, false],
    ],
  );
  assert.deepEqual([withSize(old, old.status!).sizeBytes, isBigEnough(old, member("b", GiB - MiB)), isBigEnough(old, member("b", GiB))], [GiB, false, true]);
});

test("the size is recorded only when every member in R is big enough, ends every claim on the bitmap, and never goes back", () => {
  const record = (v: ReturnType<typeof volume>, capacityBytes = 2 * GiB) => applyRecord({ kind: "RecordSize", capacityBytes }, v, context);
  const small = record(inUse([member("a", 2 * GiB), member("b", GiB)]));
  assert.deepEqual(small, { ok: false, refusal: `partition ${part("b")} has ${GiB + PARTITION_OVERHEAD} bytes, ${2 * GiB + PARTITION_OVERHEAD} are needed` });
  const away = member("c", GiB, { state: "Missing", outSince: 3 });
  const good = record(inUse([member("a", 2 * GiB), member("b", 2 * GiB), away]));
  assert.deepEqual(good.ok && [good.status.sizeBytes, good.status.partitions!.map((p) => p.outSince)], [2 * GiB, [undefined, undefined, undefined]]);
  assert.equal(record(inUse([member("a", 2 * GiB), member("b", 2 * GiB)], { sizeBytes: 2 * GiB }), GiB).ok, false);
  assert.equal(record(inUse([member("a", 4 * GiB), member("b", 4 * GiB)]), 4 * GiB).ok, false, "more than is wanted");
});

test("what is told as grown: the device of a raw volume, the filesystem of another", () => {
  const grown = inUse([member("a", 2 * GiB), member("b", 2 * GiB)], { sizeBytes: 2 * GiB, filesystem: { uuid: "u", formattedAt: "t" } });
  const raw = { ...grown, spec: { ...grown.spec, volumeMode: "Block" as const } };
  const done = { ...grown, status: { ...grown.status, filesystem: { uuid: "u", formattedAt: "t", sizeBytes: 2 * GiB } } };
  assert.deepEqual(
    [grown, raw, done, inUse([member("a", 2 * GiB), member("b", 2 * GiB)])].map((v) => grownBytes(v) / GiB),
    [0, 2, 2, 2],
  );
});

test("a device is as big as its mirrors carry, in whole stripes", () => {
  const v = inUse([member("a", 2 * GiB), member("b", 2 * GiB)], { sizeBytes: 2 * GiB });
  assert.deepEqual(
    [carriedSize(v, [GiB]), carriedSize(v, [2 * GiB]), deviceSize(GiB + MiB, 1), deviceSize(GiB + MiB, 3)],
    [GiB, 2 * GiB, GiB + MiB, 3 * 64 * 1024 * Math.ceil((GiB + MiB) / (3 * 64 * 1024))],
  );
});

test("a partition grows only into what is free behind it, whatever else the table holds", () => {
  const range = fc.record({ start: fc.integer({ min: 1, max: 60 }), size: fc.integer({ min: 1, max: 8 }) });
  fc.assert(
    fc.property(fc.array(range, { maxLength: 6 }), range, fc.integer({ min: 0, max: 20 }), (others, own, more) => {
      const entry = ({ start, size }: { start: number; size: number }, uuid: string) => ({ startBytes: start * MiB, sizeBytes: size * MiB, uuid });
      const free = others.filter((o) => o.start >= own.start + own.size || own.start >= o.start + o.size);
      const table = { entries: [entry(own, "own"), ...free.map((o, i) => entry(o, `o${i}`))], lastUsableByte: 64 * MiB - 1 };
      const end = own.start + own.size + more;
      const expected = end <= 64 && !free.some((o) => o.start < end && own.start < o.start + o.size);
      assert.equal(fitsBehind(table, "own", (own.size + more) * MiB), expected);
      assert.equal(fitsBehind(table, "nobody", MiB), false);
    }),
  );
});
