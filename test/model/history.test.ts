import assert from "node:assert/strict";
import { test } from "node:test";
import { differences } from "./facts.ts";
import { EPISODE_NAMES, makeHistory } from "./history.ts";
import { EVENT_NAMES } from "./model-side.ts";

test("twenty histories tell every episode and every event; each ends with equal copies and without claims", () => {
  const told = new Map<string, number>();
  const histories = Array.from({ length: 20 }, (_, i) => makeHistory(i + 1, told));
  assert.deepEqual([...told.keys()].sort(), [...EPISODE_NAMES].sort());
  const events = new Set(histories.flatMap((h) => h.events.map((event) => event.split(" ")[0]!)));
  assert.deepEqual([...events].sort(), [...EVENT_NAMES].sort());
  for (const { seed, copies, facts } of histories) {
    const { R, partitions, copies: lying, lastStop } = facts.at(-1)!;
    assert.deepEqual([seed, R.length, Object.values(partitions), lastStop], [seed, copies, R.map(() => "Synced"), "Clean"]);
    assert.equal(new Set(Object.values(lying).map((copy) => JSON.stringify(copy))).size, 1);
  }
});

test("a history is made again from its seed; differences name the fact and both sides", () => {
  const [one, again] = [makeHistory(7, new Map()), makeHistory(7, new Map())];
  assert.deepEqual(again, one);
  const facts = one.facts[0]!;
  assert.deepEqual(differences(facts, { ...facts, epoch: 9, staged: ["c"] }), [`epoch: model ${facts.epoch}, lab 9`, `staged: model ${JSON.stringify(facts.staged)}, lab ["c"]`]);
});
