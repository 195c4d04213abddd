import assert from "node:assert/strict";
import { test } from "node:test";
import type { VolumeStatus } from "../api/volume.ts";
import { placementTellings, tellingsOf } from "./tellings.ts";
import { mirror, NOW, nodeUID, ownerOf, partition, volume } from "./testing/builders.ts";

const both: VolumeStatus = { epoch: 1, owner: ownerOf("a"), mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] };
const lost: VolumeStatus = { ...both, mirrors: [mirror(["a"], { generation: 2 })], partitions: [partition("a"), partition("b", { state: "Missing", outSince: 2 })] };

test("a loss, and the return", () => {
  assert.deepEqual(tellingsOf("RecordOut", both, volume(lost)), [
    {
      ...{ type: "Warning", reason: "CopyLost", action: "RecordOut" },
      note: "the copy on node b is recorded out and the volume goes on with 1 of 2 copies; it is brought up to date when it is back",
    },
  ]);
  assert.deepEqual(tellingsOf("RecordIn", lost, volume(both)), [
    { type: "Normal", reason: "CopyInSync", action: "RecordIn", note: "the copy on node b is in sync: 2 of 2 copies" },
  ]);
});

test("striped: a copy is told of once, not once a member", () => {
  const two = (b: "Synced" | "Missing", R: string[]): VolumeStatus => ({
    mirrors: [mirror(R), mirror(R, { index: 1 })],
    partitions: [0, 1].flatMap((m) => [partition("a", { mirror: m }), partition("b", { mirror: m, state: b })]),
  });
  assert.deepEqual(
    tellingsOf("RecordOut", two("Synced", ["a", "b"]), volume(two("Missing", ["a"]), { drivesPerCopy: 2 })).map((t) => t.reason),
    ["CopyLost"],
  );
});

test("a takeover names who is gone and why; a claim of a volume at rest says nothing", () => {
  const former = { nodeName: "a", nodeUID: nodeUID("a"), bootID: "boot-a-1", epoch: 1, judged: "Silent" as const, waitMs: 12_000, at: NOW };
  const taken = volume({ ...both, owner: ownerOf("b"), epoch: 2, former: [former] });
  assert.deepEqual(tellingsOf("RecordClaim", both, taken), [
    { type: "Warning", reason: "TakenOver", action: "TakeOver", note: "node b takes the volume over in epoch 2: node a owned it, and its heartbeat has stopped" },
  ]);
  const { owner: _owner, ...free } = both;
  assert.deepEqual(tellingsOf("RecordClaim", free, volume(both)), []);
  assert.deepEqual(tellingsOf("RecordClaim", { partitions: [] }, volume(both)), []);
});

test("a copy that was replaced leaves", () => {
  const leaving = { ...both, partitions: [partition("a"), partition("b", { state: "Replacing" })] };
  const left = { ...both, partitions: [partition("a"), partition("b", { state: "Deleting", detached: true })] };
  assert.deepEqual(tellingsOf("RecordRetired", leaving, volume(left)), [
    { type: "Normal", reason: "CopyReplaced", action: "Retire", note: "the copy on node b has left the volume; its node wipes and frees it" },
  ]);
});

test("only what this very write changed: a stale look at the record before it says nothing of others' writes", () => {
  assert.deepEqual(tellingsOf("RecordExport", both, volume(lost)), []);
});

test("the controller: a copy is given up, another one is placed; a volume that was never used says neither", () => {
  const given = { ...lost, partitions: [partition("a"), partition("b", { state: "Faulty" })] };
  assert.deepEqual(placementTellings(lost, volume(given)), [
    {
      ...{ type: "Warning", reason: "CopyFaulty", action: "Heal" },
      note: "the copy on node b was missing for longer than 900 s and is given up; the controller finds a place for another",
    },
  ]);
  const placed = { ...given, partitions: [...given.partitions, partition("c", { state: "Requested" })] };
  assert.deepEqual(placementTellings(given, volume(placed)), [
    { type: "Normal", reason: "CopyPlaced", action: "Place", note: "a further copy is placed on node c, which makes and zeroes it" },
  ]);
  assert.deepEqual(placementTellings({}, volume({ partitions: [partition("c", { state: "Requested" })] })), []);
});
