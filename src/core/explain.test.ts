import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { explain } from "./explain.ts";
import { sentenceAtRest, sentenceOf } from "./sentence.ts";
import { driveID, mirror, NOW, ownerOf, part, partition, volume } from "./testing/builders.ts";

const owned: VolumeStatus = { owner: ownerOf("a"), nodeName: "a", epoch: 3, mdState: "active" };
const used = (status: VolumeStatus): MeshStorVolume => volume({ mirrors: [mirror(["a"])], ...status });

test("a copy is missing: the sentence, who does what, and what the copy waits for", () => {
  const message = "degraded: the copy on node b is missing; it is brought up to date when the node is back";
  const status = { ...owned, mirrors: [mirror(["a"])], partitions: [partition("b", { state: "Missing", outSince: 2 }), partition("a")], message, copies: 1, mdState: "degraded" };
  assert.deepEqual(explain(volume(status)), {
    volume: "pvc-1",
    sentence: message,
    ready: { status: "True", reason: "InUse" },
    redundant: { status: "False", reason: "CopyMissing" },
    copies: [
      { node: "a", drive: driveID("a"), mirror: 0, partitionUUID: part("a"), state: "Synced", since: NOW, inSync: true, progress: "", waitsFor: "" },
      {
        ...{ node: "b", drive: driveID("b"), mirror: 0, partitionUUID: part("b"), state: "Missing", since: NOW, inSync: false, progress: "" },
        waitsFor: "node b comes back, then node a copies what it misses",
      },
    ],
    also: [`node a owns the volume in epoch 3 since ${NOW}, started after a clean stop`],
  });
});

test("what the owner wrote about readiness goes before what the record alone says", () => {
  const held = { type: "Ready", status: "False" as const, reason: "Suspended", message: "m", lastTransitionTime: NOW };
  const shown = explain(volume({ ...owned, mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")], copies: 2, conditions: [held] }));
  assert.deepEqual(
    [shown.ready, shown.redundant],
    [
      { status: "False", reason: "Suspended" },
      { status: "True", reason: "InSync" },
    ],
  );
});

test("each state of a member: what it waits for", () => {
  const states = ["Requested", "Created", "Syncing", "Synced", "Spare", "Faulty", "Missing", "Replacing", "Deleting"] as const;
  const told = (status: VolumeStatus) => states.map((state) => explain(used({ ...status, partitions: [partition("b", { state })] })).copies[0]!.waitsFor);
  assert.deepEqual(told(owned), [
    "node b makes and zeroes it",
    "node a takes it in",
    "node a brings it up to date",
    "",
    "",
    "the controller finds a place for another",
    "node b comes back, then node a copies everything",
    "node a takes it out",
    "node a takes it out",
  ]);
  assert.deepEqual(told({})[2], "the node that uses the volume next brings it up to date");
  const progress = explain(
    used({ ...owned, syncPercentage: "45.2%", partitions: [partition("a", { state: "Requested", progress: "10.0%" }), partition("b", { state: "Syncing" })] }),
  );
  assert.deepEqual(
    progress.copies.map((c) => c.progress),
    ["10.0%", "45.2%"],
  );
  const detached = explain(used({ partitions: [partition("b", { state: "Deleting", detached: true, message: "wiped when node b is back" })] }));
  assert.equal(detached.copies[0]!.waitsFor, "wiped when node b is back");
});

test("whoever else is concerned: former owners, a hand-over, what a person decided", () => {
  const former = { nodeName: "c", nodeUID: "c", bootID: "c", epoch: 2, judged: "Silent" as const, waitMs: 12_000, at: NOW };
  const overrides = [{ at: NOW, by: "jane", mirror: 0, chosen: part("a"), givenUp: [part("c")], consistent: false }];
  const { also } = explain(used({ ...owned, former: [former, { ...former, nodeName: "d", waited: true }], handOver: { nodeName: "b", epoch: 3, at: NOW }, overrides }));
  assert.deepEqual(also, [
    `node a owns the volume in epoch 3 since ${NOW}, started after a clean stop`,
    "node c owned epoch 2; it is waited for until it can serve nothing any more",
    "node d owned epoch 2; what it left there is taken down when it is back",
    `node b asks for the volume since ${NOW}`,
    `jane made mirror 0 go on from a half-synced copy at ${NOW}`,
  ]);
  assert.deepEqual(explain(used({ epoch: 3, lastStop: "Clean" })).also, ["nobody owns the volume; epoch 3 ended cleanly"]);
});

test("the record alone: what is waited for and who does it", () => {
  const rest = (status: VolumeStatus, metadata: Partial<MeshStorVolume["metadata"]> = {}) => sentenceAtRest(volume(status, {}, metadata));
  const gone = { deletionTimestamp: NOW };
  const R = { mirrors: [mirror(["a"])] };
  const cases: [string, string][] = [
    [rest({}), "the controller places volume pvc-1"],
    [rest({ partitions: [partition("a", { state: "Created" }), partition("b", { state: "Requested" })] }), "node b makes and zeroes its partition of volume pvc-1"],
    [
      rest({ partitions: [partition("a", { state: "Created" }), partition("b", { state: "Faulty" })] }),
      "the partition on node b could not be made; the controller finds another place",
    ],
    [rest({ partitions: [partition("a", { state: "Created" }), partition("b", { state: "Created" })] }), ""],
    [
      rest({ ...R, partitions: [partition("a"), partition("b", { state: "Missing" })] }),
      "degraded: the copy on node b is missing; the node that uses the volume next brings it up to date when it is back",
    ],
    [
      rest({ ...R, ...owned, partitions: [partition("a"), partition("b", { state: "Missing" })] }),
      "degraded: the copy on node b is missing; node a brings it up to date when it is back",
    ],
    [
      rest({ ...R, partitions: [partition("a"), partition("b", { state: "Faulty", message: "No replacement node available: node c is cordoned" })] }),
      "No replacement node available: node c is cordoned",
    ],
    [
      rest({ ...R, partitions: [partition("a"), partition("b", { state: "Faulty" })] }),
      "degraded: the copy on node b is given up; when a node uses the volume, the controller finds a place for another",
    ],
    [
      rest({ ...R, ...owned, partitions: [partition("a"), partition("b", { state: "Requested" })] }),
      "degraded: node b makes and zeroes its partition; then node a brings it up to date",
    ],
    [
      rest({ ...R, partitions: [partition("a"), partition("b", { state: "Syncing" })] }),
      "degraded: the copy on node b is not in sync yet; the node that uses the volume next brings it up to date",
    ],
    [rest({ ...R, partitions: [partition("a")] }), "degraded: 1 of 2 members are in sync; when a node uses the volume, the controller finds a place for another"],
    [rest({ mirrors: [mirror(["a", "b"])], ...owned, mdState: "stopped", partitions: [partition("a"), partition("b")] }), "node a assembles the volume"],
    [
      rest({ mirrors: [mirror(["a", "b"])], ...owned, handOver: { nodeName: "b", epoch: 3, at: NOW }, partitions: [partition("a"), partition("b")] }),
      "node b asks for the volume; node a gives it up when nobody uses it there",
    ],
    [rest({ ...R, ...owned, partitions: [partition("a")] }, gone), "being deleted: waiting for node a to end its use of the volume"],
    [rest({ ...R, partitions: [partition("a"), partition("b")] }, gone), "being deleted: waiting for node a, b to wipe and free its partitions"],
    [rest(R, gone), "being deleted: the controller lets the object go"],
  ];
  assert.deepEqual(
    cases.map(([said]) => said),
    cases.map(([, wanted]) => wanted),
  );
});

test("nothing is degraded, and a copy has to go", () => {
  const three = { mirrors: [mirror(["a", "b", "c"])], partitions: [partition("a"), partition("b"), partition("c")] };
  const leaving = { ...three, ...owned, leavingNodes: ["b"] } as VolumeStatus;
  assert.deepEqual(
    [sentenceOf(volume(leaving)), explain(volume(leaving)).copies.map((c) => c.waitsFor), sentenceOf(volume(three))],
    [
      "the copy on node b shall leave; when another one is in sync, node a takes it out",
      ["", "another copy is in sync, then node a takes it out", ""],
      "there are 3 copies and 2 are wanted; when these are in sync, the node that uses the volume next takes the others out",
    ],
  );
});

test("never empty: a healthy volume says so", () => {
  const both = { mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] };
  assert.equal(sentenceOf(volume(both)), "all 2 copies are in sync; nothing is waited for");
  assert.equal(sentenceOf(volume({ mirrors: [mirror(["a"])], partitions: [partition("a")] }, { numberOfCopies: 1 })), "the one copy is in sync; nothing is waited for");
  assert.equal(sentenceOf(volume({ ...both, message: "node b exports its member of mirror 0" })), "node b exports its member of mirror 0");
});
