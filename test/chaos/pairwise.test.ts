import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { allCases, pairsOf, pairwise } from "./pairwise.ts";

test("two axes: every case; three of two values: four cases", () => {
  assert.deepEqual(pairwise({ a: ["1", "2"], b: ["x", "y"] }), [
    { a: "1", b: "x" },
    { a: "1", b: "y" },
    { a: "2", b: "x" },
    { a: "2", b: "y" },
  ]);
  assert.deepEqual(pairwise({ a: ["1", "2"], b: ["x", "y"], c: ["p", "q"] }), [
    { a: "1", b: "x", c: "p" },
    { a: "1", b: "y", c: "q" },
    { a: "2", b: "x", c: "q" },
    { a: "2", b: "y", c: "p" },
  ]);
});

test("what is not possible is neither taken nor asked for", () => {
  const axes = { a: ["1", "2"], b: ["x", "y"] };
  assert.deepEqual(
    pairwise(axes, ({ a, b }) => a === "1" || b === "x"),
    [
      { a: "1", b: "x" },
      { a: "1", b: "y" },
      { a: "2", b: "x" },
    ],
  );
});

test("every pair of a possible case is covered, by possible cases only, none of them in vain", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 5 });
  fc.assert(
    fc.property(sizes, fc.integer(), (counts, salt) => {
      const axes = Object.fromEntries(counts.map((count, at) => [`axis${at}`, Array.from({ length: count }, (_, value) => String(value))]));
      const possible = (each: Readonly<Record<string, string>>) => (Number(Object.values(each).join("")) + salt) % 5 !== 0;
      const all = allCases(axes, possible);
      const cover = pairwise(axes, possible);
      const wanted = new Set(all.flatMap(pairsOf));
      assert.deepEqual({ pairs: new Set(cover.flatMap(pairsOf)), strange: cover.filter((each) => !possible(each)) }, { pairs: wanted, strange: [] });
      assert.ok(cover.length <= all.length);
      assert.equal(new Set(cover.map((each) => JSON.stringify(each))).size, cover.length, "no case twice");
    }),
  );
});
