import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostSnapshot } from "../core/observed.ts";
import { Snapshots } from "./snapshots.ts";

function counted(): { snapshots: Snapshots; taken: () => number; at: (ms: number) => void; fail: () => void } {
  let count = 0;
  let now = 0;
  let broken = false;
  const observe = async (): Promise<HostSnapshot> => {
    count += 1;
    if (broken) throw new Error("the kernel's trees hang");
    return { takenAtMs: now } as HostSnapshot;
  };
  return { snapshots: new Snapshots(observe, () => now), taken: () => count, at: (ms) => (now = ms), fail: () => (broken = true) };
}

test("one snapshot serves all who ask for one that is no older", async () => {
  const { snapshots, taken, at } = counted();
  const first = await snapshots.get(300);
  at(299);
  assert.equal(await snapshots.get(300), first);
  at(300);
  assert.notEqual(await snapshots.get(300), first);
  await snapshots.get(0);
  assert.equal(taken(), 3);
});

test("after a loss was noticed nobody is served with what was seen before it", async () => {
  const { snapshots, taken } = counted();
  await snapshots.get(1_000);
  snapshots.drop();
  await snapshots.get(1_000);
  assert.equal(taken(), 2);
});

test("a snapshot that failed is not served again", async () => {
  const { snapshots, taken, fail } = counted();
  fail();
  await assert.rejects(snapshots.get(1_000), /hang/);
  await assert.rejects(snapshots.get(1_000), /hang/);
  assert.equal(taken(), 2);
});
