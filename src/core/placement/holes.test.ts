import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";

import { MiB } from "../../base/units.ts";
import { biggestFit, fits, leftover } from "./holes.ts";

const sizes = (most: number) => fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: most }).map((list) => list.map((n) => n * MiB));

/** Every assignment of sizes to holes: slow and obviously right. */
function fitsByTrying(holes: readonly number[], items: readonly number[]): boolean {
  const [first, ...rest] = items;
  if (first === undefined) return true;
  return holes.some((hole, i) => hole >= first && fitsByTrying(holes.with(i, hole - first), rest));
}

test("a promise that best fit in order of arrival would put wrongly does not spoil the drive", () => {
  assert.equal(fits([5 * MiB, 10 * MiB], [4 * MiB, 6 * MiB, 5 * MiB]), true);
  assert.equal(fits([5 * MiB, 9 * MiB], [4 * MiB, 6 * MiB, 5 * MiB]), false);
});

test("fits says what trying every assignment says", () => {
  fc.assert(fc.property(sizes(4), sizes(5), (holes, items) => assert.equal(fits(holes, items), fitsByTrying(holes, items))));
});

test("more space never turns a yes into a no", () => {
  fc.assert(
    fc.property(sizes(5), sizes(5), sizes(2), fc.nat(4), fc.nat(8), (holes, items, added, index, grown) => {
      fc.pre(fits(holes, items));
      const wider = holes.map((hole, i) => (i === index ? hole + grown * MiB : hole));
      assert.equal(fits([...wider, ...added], items), true);
    }),
  );
});

test("the biggest fit fits, and one MiB more does not", () => {
  fc.assert(
    fc.property(sizes(5), sizes(3), (holes, promised) => {
      const biggest = biggestFit(holes, promised);
      if (biggest > 0) assert.equal(fits(holes, [...promised, biggest]), true);
      assert.equal(fits(holes, [...promised, biggest + MiB]), false);
    }),
  );
});

test("many promises on a fragmented drive are answered in bounded time", () => {
  const holes = Array.from({ length: 32 }, (_, i) => (20 + i) * MiB);
  const promised = Array.from({ length: 60 }, (_, i) => (13 + (i % 5)) * MiB);
  const before = process.cpuUsage();
  biggestFit(holes, promised);
  const { user, system } = process.cpuUsage(before);
  assert.ok((user + system) / 1000 < 3000, "milliseconds of CPU, which a busy machine does not lengthen");
});

test("what stays of the tightest hole", () => {
  assert.equal(leftover([9, 7, 5], 6), 1);
  assert.equal(leftover([5], 6), null);
});
