import assert from "node:assert/strict";
import { test } from "node:test";
import { caseNamed, coverOf, everyCase, nameOf, nodesOf, worldOf } from "./case.ts";
import { pairsOf } from "./pairwise.ts";

test("the cover has every pair that a case can have, the same each time, and keeps worlds together", () => {
  const cover = coverOf();
  const pairs = (cases: readonly Readonly<Record<string, string>>[]) => [...new Set(cases.flatMap(pairsOf))].toSorted();
  assert.deepEqual(pairs(cover), pairs(everyCase()));
  assert.deepEqual(coverOf(), cover);
  const worlds = cover.map(worldOf);
  assert.deepEqual(worlds, worlds.toSorted());
});

test("what is proven is not asked for again; a name is read back, and one of another time is none", () => {
  const cover = coverOf();
  assert.deepEqual(coverOf({}, cover), []);
  const half = cover.slice(0, 40);
  const rest = coverOf({}, half);
  assert.deepEqual(new Set([...half, ...rest].flatMap(pairsOf)), new Set(cover.flatMap(pairsOf)));
  assert.deepEqual([caseNamed(nameOf(cover[3]!)), caseNamed("all-power/2/plain/6.12"), caseNamed("all-power/9/plain/6.12/process")], [cover[3], null, null]);
});

test("a case has a name and a world; a wish narrows the cover", () => {
  const only = { fault: ["all-power"], kernel: ["mixed"], guests: ["emulated"] };
  const cover = coverOf(only);
  assert.deepEqual(cover.map(nameOf).toSorted(), [
    "all-power/2/plain/mixed/emulated",
    "all-power/2/striped/mixed/emulated",
    "all-power/3/plain/mixed/emulated",
    "all-power/3/striped/mixed/emulated",
  ]);
  const size = 2 * 1024 ** 3;
  const drives = [
    { size, volatileCache: true },
    { size, volatileCache: true },
  ];
  assert.deepEqual(nodesOf(cover[0]!), [
    { name: "n1", drives, kernel: "6.12" },
    { name: "n2", drives: [{ size }, { size }], kernel: "7.2", kind: "emulated" },
    { name: "n3", drives, kernel: "6.12" },
  ]);
});
