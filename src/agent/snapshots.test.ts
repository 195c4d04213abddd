import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostSnapshot } from "../core/observed.ts";
import { PATIENCE_MS, Snapshots } from "./snapshots.ts";

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

/** Looks that end when they are told to, numbered from 1. */
function slow(): { snapshots: Snapshots; begun: () => number; end: (look: number) => void } {
  const ends: (() => void)[] = [];
  const observe = (): Promise<HostSnapshot> => {
    const takenAtMs = ends.length + 1;
    return new Promise((resolve) => ends.push(() => resolve({ takenAtMs } as HostSnapshot)));
  };
  return { snapshots: new Snapshots(observe, () => 0), begun: () => ends.length, end: (look) => ends[look - 1]!() };
}

test("whoever asks while a look runs shares the one after it, which begins when it has ended", async () => {
  const { snapshots, begun, end } = slow();
  const first = snapshots.get(0);
  const others = [snapshots.get(0), snapshots.get(0)];
  assert.equal(begun(), 1);
  end(1);
  assert.equal((await first).takenAtMs, 1);
  const late = snapshots.get(0);
  await new Promise(setImmediate);
  assert.equal(begun(), 2);
  end(2);
  assert.deepEqual(
    (await Promise.all([...others, late])).map((s) => s.takenAtMs),
    [2, 2, 2],
  );
});

test("a look that hangs is not waited for", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { snapshots, begun, end } = slow();
  void snapshots.get(0);
  const second = snapshots.get(0);
  t.mock.timers.tick(PATIENCE_MS);
  await new Promise(setImmediate);
  assert.equal(begun(), 2);
  end(2);
  assert.equal((await second).takenAtMs, 2);
});
