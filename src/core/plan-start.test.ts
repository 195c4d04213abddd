import assert from "node:assert/strict";
import { test } from "node:test";
import type { ActionKind } from "./action.ts";
import { LABEL_WAIT_MS, START_WAIT_MS } from "./plan-start.ts";
import { plan } from "./plan.ts";
import { EMPTY_SESSION } from "./session.ts";
import { emptyHost, exported, mirror, ownerOf, part, partition, planInput, stage, volume } from "./testing/builders.ts";
import { round, stageOn, unstageEverywhere, until } from "./testing/liveness.ts";
import { detectLosses, powerOff, powerOn } from "./testing/model.ts";
import { doneBy, doneByAll, inUse, isStaged, rest, rounds, stepAll, write } from "./testing/scenes.ts";
import { nodeOf, partsOf, statusOf } from "./testing/world.ts";

const MAKE: ActionKind[] = ["CreatePartition", "ZeroPartition", "RecordCreated"];
const OFFER: ActionKind[] = ["RecordExport", "CreateExport"];
const LABEL: ActionKind[] = ["StampLabel", "StampLabel"];
const FIRST: ActionKind[] = ["RecordMirrorCreated", "CreateVolumeDevice", "RecordFilesystem", "MakeFilesystem", "RecordFormatted", "MountStage"];
const times = (n: number, ...kinds: ActionKind[]): ActionKind[] => kinds.flatMap((kind) => Array.from({ length: n }, () => kind));

test("first start, 2 copies: made, zeroed, claimed, connected, labelled, mirrored, formatted once, mounted", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  assert.deepEqual(doneBy(w, "a"), [...MAKE, "RecordClaim", "Connect", ...LABEL, "OpenWindow", "OpenWindow", "CreateMirror", ...FIRST]);
  assert.deepEqual(doneBy(w, "b"), [...MAKE, ...OFFER]);
  assert.deepEqual(
    statusOf(w).mirrors?.map((m) => [m.created, m.generation, m.inSync]),
    [[true, 1, [part("a"), part("b")]]],
  );
});

test("first start, 1 copy: nothing is connected, the second slot stays vacant", () => {
  const w = inUse("a", { placement: ["a"] });
  assert.deepEqual(
    doneByAll(w),
    [...MAKE, "RecordClaim", ...LABEL, "OpenWindow", "CreateMirror", ...FIRST].map((kind) => `a ${kind}`),
  );
  assert.equal(nodeOf(w, "a").arrays[0]?.raidDisks, 2);
});

test("first start, 3 copies: all of them from the first write on", () => {
  const w = inUse("a", { placement: ["a", "b", "c"] });
  assert.deepEqual(doneBy(w, "a"), [...MAKE, "RecordClaim", "Connect", "Connect", ...LABEL, ...times(3, "OpenWindow"), "CreateMirror", ...FIRST]);
  assert.deepEqual(
    [doneBy(w, "b"), doneBy(w, "c")],
    [
      [...MAKE, ...OFFER],
      [...MAKE, ...OFFER],
    ],
  );
});

test("first start, 2 × 2 striped: two mirrors, formatted when both are made", () => {
  const w = inUse("a", { placement: ["a", "b"], stripes: 2 });
  const own = doneBy(w, "a");
  assert.deepEqual(own.slice(0, 6).sort(), times(2, "CreatePartition", "RecordCreated", "ZeroPartition"));
  assert.deepEqual(own.slice(6), [
    "RecordClaim",
    ...times(2, "Connect"),
    ...LABEL,
    ...LABEL,
    ...times(4, "OpenWindow"),
    ...times(2, "CreateMirror", "RecordMirrorCreated"),
    ...FIRST.slice(1),
  ]);
  assert.equal(nodeOf(w, "a").volumeDevice?.below.length, 2);
});

test("the pod lands on a third node before first use: a copy moves there, nothing is copied", () => {
  const w = inUse("c", { placement: ["a", "b"] });
  assert.deepEqual(doneBy(w, "c"), ["RecordRequestLocal", ...MAKE, "RecordClaim", "Connect", ...LABEL, "OpenWindow", "OpenWindow", "CreateMirror", ...FIRST]);
  assert.deepEqual(doneBy(w, "b"), [...MAKE, "WipePartition", "DeletePartition", "RecordDeleted"]);
  assert.deepEqual(new Set(statusOf(w).partitions?.map((p) => p.nodeID)), new Set(["a", "c"]));
  assert.deepEqual(partsOf(nodeOf(w, "b")), []);
});

test("clean hand-over to the other copy: all of R starts together, no resync", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  write(w, nodeOf(w, "a"));
  unstageEverywhere(w);
  rounds(w, 1);
  const mark = w.trace.length;
  stageOn(w, nodeOf(w, "b"));
  rest(w, nodeOf(w, "b"));
  assert.deepEqual(doneBy(w, "b", mark), ["RecordClaim", "Connect", ...LABEL, "OpenWindow", "OpenWindow", "AssembleMirror", "CreateVolumeDevice", "MountStage"]);
  assert.deepEqual(doneBy(w, "a", mark), OFFER);
  assert.deepEqual([statusOf(w).owner?.start, statusOf(w).epoch, statusOf(w).mirrors?.[0]?.generation], ["Clean", 2, 1]);
});

test("clean hand-over to a node without a copy: it gets one, is in sync, and only then the excess one goes; never degraded", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  unstageEverywhere(w);
  const mark = w.trace.length;
  const c = nodeOf(w, "c");
  stageOn(w, c);
  rest(w, c);
  assert.deepEqual(doneBy(w, "c", mark), [
    ...["RecordClaim", "Connect", "Connect", ...LABEL, "OpenWindow", "OpenWindow", "AssembleMirror", "CreateVolumeDevice", "MountStage"],
    ...["RecordRequestLocal", ...MAKE, "RecordJoining", "StampLabel", "OpenWindow", "AddMember", "RecordIn"],
    ...["RecordRetire", "StampLabel", "FailMember", "Disconnect", "RemoveMember", "CloseWindow", "RecordRetired", "ShrinkMirror"],
  ]);
  assert.deepEqual(statusOf(w).mirrors?.[0]?.inSync.length, 2);
  assert.equal(c.arrays[0]?.raidDisks, 2);
});

test("owner reboots: one member starts alone, the others are recorded out first and come back by bitmap", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  write(w, a);
  powerOff(w, a);
  powerOn(w, a);
  a.wants = "stage";
  const mark = w.trace.length;
  until(w, "staged again", () => isStaged(a) && a.wants === "none");
  rest(w, a);
  assert.deepEqual(doneBy(w, "a", mark), [
    ...["RecordClaim", "Connect", "StampLabel", "RecordOut", "StampLabel", "OpenWindow", "AssembleMirror", "CreateVolumeDevice", "MountStage"],
    ...["RecordJoining", "OpenWindow", "ReAddMember", "RecordIn"],
  ]);
  assert.equal(statusOf(w).owner?.start, "Unclean");
});

test("the owner rebooted and the pod went elsewhere: ownership is given up without being asked", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  powerOff(w, a);
  b.wants = "stage";
  rounds(w, 3);
  assert.deepEqual(b.agent.last?.plan?.refusal?.code, "VolumeInUse");
  powerOn(w, a);
  Object.assign(a, { wants: "none", mayBeStaged: false });
  until(w, "staged on b", () => isStaged(b), { rounds: 20 });
  rest(w, b);
});

test("a provider that announced its export and left does not keep the start waiting for ever", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  unstageEverywhere(w);
  a.wants = "stage";
  round(w, 100);
  until(w, "export announced", () => statusOf(w).partitions?.some((p) => p.export?.epoch === 2) ?? false);
  assert.equal(isStaged(a), false);
  powerOff(w, b);
  detectLosses(w);
  until(w, "staged without b", () => isStaged(a) && a.wants === "none", { rounds: 12, ms: 2_000 });
  assert.deepEqual(statusOf(w).mirrors?.[0]?.inSync, [part("a")]);
});

test("not all of R in reach: patience first, then the rest is recorded out; nobody in reach: the sentence names the node", () => {
  const v = volume({ epoch: 2, owner: ownerOf("a"), mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] });
  const partitions = [{ uuid: part("a"), drive: "SERIALa0:1", device: "nvme0n1p1", number: 1, startBytes: 0, sizeBytes: 1, holders: [] }];
  const session = { ...EMPTY_SESSION, claimedEpoch: 2, claimedAtMs: 1_000, stamped: { [part("a")]: "2:0" } };
  const at = (nowMs: number, host = { ...emptyHost("a"), partitions }) => plan(planInput("a", v, host, { intent: stage, session, nowMs }));
  assert.deepEqual(at(1_000 + START_WAIT_MS - 1).waits, ["node b exports its member of mirror 0"]);
  assert.deepEqual(at(1_000 + START_WAIT_MS).actions, [
    {
      kind: "RecordOut",
      members: [{ partitionUUID: part("b"), mirror: 0, attach: null }],
      reason: "not in reach at the start of the epoch (I3)",
      why: "not in reach at the start of the epoch (I3)",
    },
  ]);
  const nobody = volume({ epoch: 2, owner: ownerOf("a"), mirrors: [mirror(["b"])], partitions: [partition("a", { state: "Missing" }), partition("b")] });
  assert.deepEqual(plan(planInput("a", nobody, emptyHost("a"), { intent: stage, session, nowMs: 1_000 + START_WAIT_MS })).refusal, {
    code: "NoGoodCopy",
    message: "mirror 0 of volume pvc-1: the last good copy is on node b, which does not answer",
  });
});

test("who starts alone is labelled, and so proven to answer, before the others are recorded out", () => {
  const v = volume({ epoch: 3, owner: ownerOf("c", "Unclean"), mirrors: [mirror(["a", "b"])], partitions: [partition("a", { export: exported("a", 3, 1) }), partition("b")] });
  const nqn = `nqn.2025-12.io.meshstor:${part("a")}:e3:a1`;
  const connections = [{ controller: "nvme4", nqn, partitionUUID: part("a"), epoch: 3, attach: 1, state: "live" as const, device: "nvme4n1", sizeBytes: 1 }];
  const next = (stamped: Record<string, string>) =>
    plan(planInput("c", v, { ...emptyHost("c"), connections }, { intent: stage, session: { ...EMPTY_SESSION, claimedEpoch: 3, stamped }, nowMs: LABEL_WAIT_MS })).actions.map(
      (a) => a.kind,
    );
  assert.deepEqual(next({}), ["StampLabel"]);
  assert.deepEqual(next({ [part("a")]: "3:0" }), ["RecordOut"]);
});

test("a label that was written and not confirmed does not block the epoch when another member is recorded out meanwhile", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  unstageEverywhere(w);
  a.wants = "stage";
  until(w, "connected", () => a.conns.length > 0 || isStaged(a), { ms: 100 });
  // The agent forgets what it stamped, as after a time-out in the middle, and b leaves.
  a.agent.session = { ...a.agent.session, stamped: {} };
  for (const p of [...partsOf(a), ...partsOf(b)]) p.label = { volume: "0a0a0a0a-1111-4222-8333-444444444444", member: p.uuid, epoch: 2, generation: 0 };
  powerOff(w, b);
  until(w, "staged without b", () => isStaged(a), { rounds: 20 });
});

test("a window whose connection died before the assembly is closed, and the only copy is connected anew", () => {
  const w = inUse("a", { placement: ["a"] });
  const c = nodeOf(w, "c");
  unstageEverywhere(w);
  c.wants = "stage";
  const mark = w.trace.length;
  for (let i = 0; i < 400 && c.windows.length === 0; i += 1) stepAll(w);
  assert.equal(c.arrays.length, 0, "the window is open, the array not assembled");
  for (const conn of c.conns) conn.broken = true;
  detectLosses(w);
  until(w, "staged", () => isStaged(c));
  const kinds = doneBy(w, "c", mark);
  assert.deepEqual(kinds.slice(kinds.indexOf("OpenWindow") + 1, kinds.indexOf("AssembleMirror")), ["RecordDetached", "Disconnect", "CloseWindow", "Connect", "OpenWindow"]);
});

test("no partition could be made: the wait says so, and who acts", () => {
  const v = volume({ partitions: [partition("a", { state: "Faulty", message: "drive SERIALa0:1 is not on node a" })] }, { numberOfCopies: 1 });
  assert.deepEqual(plan(planInput("a", v, emptyHost("a"), { intent: stage })).waits, [
    "no partition of mirror 0 could be made: drive SERIALa0:1 is not on node a; the controller finds another place",
  ]);
});

test("refusals and waits before a claim", () => {
  const requested = volume({ partitions: [partition("a"), partition("b", { state: "Requested" })] });
  const owned = volume({ epoch: 1, owner: ownerOf("b"), mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] });
  const deleted = volume({ partitions: [] }, {}, { deletionTimestamp: "2026-11-20T11:00:00Z" });
  const next = (v: typeof owned) => plan(planInput("a", v, emptyHost("a"), { intent: stage }));
  assert.deepEqual(next(requested).waits, ["node b makes and zeroes its partition of volume pvc-1"]);
  // A living owner is asked, once in an epoch, and never robbed.
  assert.deepEqual(
    next(owned).actions.map((x) => x.kind),
    ["RecordHandOver"],
  );
  const asked = { ...owned, status: { ...owned.status, handOver: { nodeName: "a", epoch: 1, at: "2026-11-20T10:00:00Z" } } };
  assert.deepEqual(next(asked).refusal, { code: "VolumeInUse", message: "volume pvc-1 is owned by node b since 2026-11-20T10:00:00Z; it must be unstaged there first" });
  assert.deepEqual(next(deleted).refusal, { code: "VolumeNotFound", message: "volume pvc-1 is being deleted" });
  assert.deepEqual(next(volume({ partitions: [] })).waits, ["the controller places volume pvc-1"]);
});

test("a new process takes down what an earlier one left half built, then a new epoch; nothing is adopted", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  // As if it had died after opening the windows: no array, no volume device.
  Object.assign(a, { arrays: [], volumeDevice: null, mounts: [], wants: "stage" });
  a.agent.session = EMPTY_SESSION;
  const mark = w.trace.length;
  until(w, "staged again", () => isStaged(a));
  assert.deepEqual(doneBy(w, "a", mark).slice(0, 6), ["CloseWindow", "CloseWindow", "Disconnect", "RecordClaim", "Connect", "StampLabel"]);
  assert.equal(statusOf(w).epoch, 2);
});
