/** The small parts of the role on their own: heartbeats, waiters, the loop, the record's progress. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { PartitionRecord } from "../api/volume.ts";
import { GiB } from "../base/units.ts";
import type { Lease } from "../kube/resources.ts";
import { reservationsOf } from "./cluster.ts";
import { FRESH_MS, Heartbeats } from "./heartbeats.ts";
import { Loop } from "./loop.ts";
import { newVolume, progressOf } from "./provisioning.ts";
import { Waiters } from "./waiters.ts";

const partition = (state: PartitionRecord["state"], change: Partial<PartitionRecord> = {}): PartitionRecord => ({
  partitionUUID: "u",
  nodeID: "n1",
  drive: "d1",
  mirror: 0,
  state,
  sizeBytes: GiB,
  updatedAt: "2026-11-20T10:00:00Z",
  ...change,
});
const parameters = { numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900 };
const wish = {
  requestedName: "v",
  volumeID: "v",
  volumeMode: "Filesystem" as const,
  fsType: "xfs" as const,
  capacityBytes: GiB,
  atLeast: GiB,
  atMost: GiB,
  preferredNodes: [],
  favouredNodes: [],
  parameters,
};
const volumeWith = (...partitions: PartitionRecord[]) => ({ ...newVolume(wish, 512), status: { partitions } });

test("a heartbeat is judged by when we saw it change, whatever the node's clock says", () => {
  let nowMs = 0;
  const beats = new Heartbeats({ nowMs: () => nowMs, wallMs: () => Date.parse("2026-11-20T10:00:00Z") + nowMs });
  const lease = (renewTime: string): Lease => ({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "node-a", namespace: "meshstor", uid: "u" },
    spec: { renewTime },
  });
  assert.deepEqual([beats.knows("node-a"), beats.isFresh("node-a")], [false, false]);
  // A clock an hour behind: old at first sight, fresh with the next renewal.
  beats.observe("node-a", lease("2026-11-20T09:00:00.000000Z"));
  assert.deepEqual([beats.knows("node-a"), beats.isFresh("node-a")], [true, false]);
  beats.observe("node-a", lease("2026-11-20T09:00:10.000000Z"));
  assert.equal(beats.isFresh("node-a"), true);
  nowMs += FRESH_MS;
  assert.equal(beats.isFresh("node-a"), true);
  nowMs += 1;
  assert.equal(beats.isFresh("node-a"), false);
  beats.restart();
  assert.equal(beats.isFresh("node-a"), true);
  beats.observe("node-a", null);
  assert.deepEqual([beats.knows("node-a"), beats.isFresh("node-a")], [false, false]);
});

test("progress of a volume towards its first use", () => {
  const used = { ...volumeWith(partition("Faulty")), status: { partitions: [partition("Faulty")], epoch: 1 } };
  const kinds = [
    newVolume(wish),
    volumeWith(partition("Deleting", { detached: true })),
    volumeWith(partition("Requested"), partition("Created")),
    volumeWith(partition("Faulty"), partition("Requested")),
    volumeWith(partition("Created"), partition("Deleting")),
    used,
  ].map((volume) => progressOf(volume).kind);
  assert.deepEqual(kinds, ["unplaced", "unplaced", "waiting", "misplaced", "ready", "ready"]);
});

test("space is promised from the request until the node has begun, and not for a volume that goes", () => {
  const volume = volumeWith(partition("Requested"), partition("Requested", { drive: "d2", progress: "1.0%" }), partition("Created"), partition("Deleting"));
  const going = { ...volume, metadata: { ...volume.metadata, deletionTimestamp: "2026-11-20T10:00:00Z" } };
  assert.deepEqual(reservationsOf([volume, going]), [{ nodeID: "n1", drive: "d1", sizeBytes: GiB }]);
});

test("a waiter is woken by its name's change, by time, or by the end of its call", async () => {
  let nowMs = 5;
  const waiters = new Waiters(() => nowMs);
  const never = new AbortController().signal;
  const woken = waiters.change("v", 60_000, never);
  waiters.wake("other");
  waiters.wake("v");
  await woken;
  await waiters.change("v", 5, never);
  await assert.rejects(waiters.change("v", 60_000, AbortSignal.abort(new Error("over"))), /over/);
  assert.deepEqual([waiters.isWaitedFor("v"), waiters.lastCallMs("v")], [false, null]);
  await waiters.during("v", async () => {
    assert.equal(waiters.isWaitedFor("v"), true);
    waiters.forget("v");
    nowMs = 7;
  });
  assert.deepEqual([waiters.isWaitedFor("v"), waiters.lastCallMs("v")], [false, 7]);
  waiters.forget("v");
  assert.equal(waiters.lastCallMs("v"), null);
});

test("the loop passes over a name once however often it is woken, tries again what failed, and ends", async () => {
  const passes: string[] = [];
  let failures = 1;
  const loop = new Loop({
    names: () => ["a", "b"],
    pass: async (name) => {
      await sleep(1);
      passes.push(name);
      if (name === "b" && failures-- > 0) throw new Error("not now");
    },
    onError: (name, error) => void passes.push(`${name}: ${(error as Error).message}`),
    everyMs: 60_000,
    retryMs: 5,
  });
  loop.start();
  loop.wake("a");
  loop.wake("a");
  for (let i = 0; i < 1000 && passes.length < 4; i += 1) await sleep(5);
  assert.deepEqual(passes, ["a", "b", "b: not now", "b"]);
  await loop.stop();
  loop.wake("a");
  await sleep(5);
  assert.equal(passes.length, 4);
});
