import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MiB } from "../base/units.ts";
import { ALIGNMENT, fit, holesOf, unusableReason, WAITS_FOR_GPT } from "./gpt-fit.ts";
import type { DriveTable } from "./observed.ts";

const table = (entries: [start: number, size: number][], change: Partial<DriveTable> = {}): DriveTable => ({
  drive: "S:1",
  label: "gpt",
  firstUsableByte: 34 * 512,
  lastUsableByte: 100 * MiB - 34 * 512,
  entries: entries.map(([startBytes, sizeBytes], i) => ({ number: i + 1, startBytes, sizeBytes, uuid: `${i}`, type: "", name: "" })),
  maxEntries: 128,
  signature: null,
  usedBy: null,
  ...change,
});

test("holes of an empty table: all but the MiB at each end that the table needs", () => {
  assert.deepEqual(holesOf(table([])), [{ startBytes: MiB, sizeBytes: 98 * MiB }]);
});

test("holes lie between entries in disk order, aligned inwards; entries may come unsorted", () => {
  assert.deepEqual(
    holesOf(
      table([
        [50 * MiB, 10 * MiB],
        [MiB, 9 * MiB + 512],
      ]),
    ),
    [
      { startBytes: 11 * MiB, sizeBytes: 39 * MiB },
      { startBytes: 60 * MiB, sizeBytes: 39 * MiB },
    ],
  );
});

test("no hole in a table that is not GPT, or that is full", () => {
  assert.deepEqual(holesOf(table([], { label: "dos" })), []);
  assert.deepEqual(holesOf(table([[0, 100 * MiB]])), []);
  assert.deepEqual(holesOf(table([[0, 200 * MiB]])), []);
});

test("the smallest hole that holds it, the first of equals; none when too big or without a free entry", () => {
  const two = table([
    [20 * MiB, 30 * MiB],
    [60 * MiB, 30 * MiB],
  ]);
  assert.deepEqual([fit(two, 9 * MiB), fit(two, 10 * MiB), fit(two, 11 * MiB), fit(two, 19 * MiB), fit(two, 20 * MiB)], [90 * MiB, 50 * MiB, MiB, MiB, null]);
  assert.equal(fit(table([[MiB, MiB]], { maxEntries: 1 }), MiB), null);
});

const layouts = fc.record({
  entries: fc.array(fc.tuple(fc.integer({ min: 0, max: 120 * MiB }), fc.integer({ min: 1, max: 40 * MiB })), { maxLength: 12 }),
  firstUsableByte: fc.integer({ min: 1, max: 3 * MiB }),
  lastUsableByte: fc.integer({ min: 0, max: 120 * MiB }),
});

test("property: holes overlap no entry and no other hole, are aligned and within what is usable", () => {
  fc.assert(
    fc.property(layouts, ({ entries, ...range }) => {
      const t = table(entries, range);
      let end = range.firstUsableByte;
      for (const hole of holesOf(t)) {
        assert.ok(hole.startBytes >= end && hole.startBytes % ALIGNMENT === 0 && hole.sizeBytes % ALIGNMENT === 0 && hole.sizeBytes > 0);
        end = hole.startBytes + hole.sizeBytes;
        assert.ok(end <= range.lastUsableByte + 1);
        assert.ok(entries.every(([start, size]) => start >= end || start + size <= hole.startBytes));
      }
    }),
  );
});

test("property: no aligned free MiB lies outside of the holes", () => {
  fc.assert(
    fc.property(layouts, fc.integer({ min: 0, max: 119 }), ({ entries, ...range }, index) => {
      const start = index * MiB;
      const free = start >= range.firstUsableByte && start + MiB <= range.lastUsableByte + 1 && entries.every(([s, size]) => s >= start + MiB || s + size <= start);
      const inHole = holesOf(table(entries, range)).some((h) => h.startBytes <= start && start + MiB <= h.startBytes + h.sizeBytes);
      assert.equal(inHole, free);
    }),
  );
});

test("property: a partition is placed on free space, aligned, and as tight as possible", () => {
  fc.assert(
    fc.property(layouts, fc.integer({ min: 1, max: 60 }), ({ entries, ...range }, mib) => {
      const t = table(entries, range);
      const start = fit(t, mib * MiB);
      const holes = holesOf(t).filter((h) => h.sizeBytes >= mib * MiB);
      if (start === null) return assert.deepEqual(holes, []);
      assert.ok(start % ALIGNMENT === 0 && entries.every(([s, size]) => s >= start + mib * MiB || s + size <= start));
      assert.equal(holes.find((h) => h.startBytes === start)?.sizeBytes, Math.min(...holes.map((h) => h.sizeBytes)));
    }),
  );
});

test("why a drive is not ours to use", () => {
  const none = { label: "none" as const };
  const cases: [DriveTable | undefined, boolean, "Auto" | "Exclude" | "Initialize", string | null][] = [
    [table([]), false, "Auto", null],
    [table([]), false, "Exclude", "Excluded by spec.use"],
    [undefined, false, "Auto", "Partition table not read yet"],
    [table([]), true, "Auto", "Drive is read-only"],
    [table([], { usedBy: "mounted at /" }), false, "Auto", "Whole drive is in use: mounted at /"],
    [table([], { label: "dos" }), false, "Initialize", "Partition table is MBR; only GPT is supported"],
    [table([], { ...none, signature: "an LVM physical volume" }), false, "Initialize", "Whole drive carries an LVM physical volume"],
    [table([], none), false, "Auto", "No partition table; set spec.use to Initialize to give the drive to MeshStor"],
    [table([], none), false, "Initialize", WAITS_FOR_GPT],
    [table([], { label: "other" }), false, "Auto", "Partition table is not GPT"],
  ];
  for (const [t, readOnly, use, reason] of cases) assert.equal(unusableReason(t, readOnly, use), reason);
});
