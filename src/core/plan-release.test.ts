import assert from "node:assert/strict";
import { test } from "node:test";
import type { Action } from "./action.ts";
import { afterLook } from "./look.ts";
import { EMPTY_SESSION } from "./session.ts";
import { part, VOLUME_UID } from "./testing/builders.ts";
import { round, until } from "./testing/liveness.ts";
import { detectLosses, powerOff, powerOn, pullDrive } from "./testing/model.ts";
import { doneBy, doneByAll, inputOf, inUse, nextOf, rest, rounds, stepAll, write } from "./testing/scenes.ts";
import type { World } from "./testing/world.ts";
import { latest, nodeOf, statusOf } from "./testing/world.ts";
import { viewVolume } from "./view.ts";

const RELEASE = ["RecordOut", "StampLabel", "FailMember", "Disconnect", "RemoveMember", "CloseWindow"];

function lose(w: World, ...nodes: string[]): void {
  for (const name of nodes) powerOff(w, nodeOf(w, name));
  detectLosses(w);
}
const kinds = (actions: readonly Action[]): string[] => actions.map((a) => a.kind);

test("loss of a remote: record, label, fail, disconnect, remove, close; writes are held until then and go on after", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  lose(w, "b");
  assert.equal(write(w, a), false);
  const mark = w.trace.length;
  rounds(w, 3);
  assert.deepEqual(doneBy(w, "a", mark), RELEASE);
  assert.equal(write(w, a), true);
  const { mirrors, partitions } = statusOf(w);
  assert.deepEqual(mirrors, [{ ...mirrors![0]!, generation: 2, inSync: [part("a")] }]);
  const b = partitions!.find((p) => p.nodeID === "b")!;
  assert.deepEqual([b.state, b.outSince, b.detachedAttach], ["Missing", 2, 1]);
});

test("the actions of a release, whole", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  lose(w, "b");
  const nqn = `nqn.2025-12.io.meshstor:${part("b")}:e1:a1`;
  const member = { device: "md127", partitionUUID: part("b"), window: "dm-1" };
  const why = (text: string) => text.replace("B", part("b"));
  const expected: Action[] = [
    {
      kind: "RecordOut",
      members: [{ partitionUUID: part("b"), mirror: 0, attach: 1 }],
      reason: "lost",
      why: why("member B on node b lost: recorded out before its writes are released (I1)"),
    },
    {
      kind: "StampLabel",
      devices: [{ partitionUUID: part("a"), mirror: 0, device: "nvme0n1p1", generation: 2 }],
      volumeUID: VOLUME_UID,
      epoch: 1,
      atStart: false,
      why: "survivors are labelled before the loss is released (Z20)",
    },
    { kind: "FailMember", ...member, why: "recorded out; MD may go on without it (Z1: by ioctl, not sysfs)" },
    { kind: "Disconnect", controller: "nvme4", nqn, why: "a connection is used once; its held requests now end" },
    { kind: "RemoveMember", ...member, why: "a failed member leaves the array" },
    { kind: "CloseWindow", partitionUUID: part("b"), why: "no array uses it, and its path is gone" },
  ];
  const seen: Action[] = [];
  for (let i = 0; i < 100 && seen.length < expected.length; i += 1) {
    const [next] = nextOf(w, a).actions;
    if (next && next.kind !== seen.at(-1)?.kind) seen.push(next);
    stepAll(w);
  }
  assert.deepEqual(seen, expected);
});

test("two lost at once go in one batch of every step (Z3)", () => {
  const w = inUse("a", { placement: ["a", "b", "c"] });
  lose(w, "b", "c");
  const mark = w.trace.length;
  rounds(w, 3);
  assert.deepEqual(doneBy(w, "a", mark), [
    "RecordOut",
    "StampLabel",
    "FailMember",
    "FailMember",
    "Disconnect",
    "Disconnect",
    "RemoveMember",
    "RemoveMember",
    "CloseWindow",
    "CloseWindow",
  ]);
  assert.deepEqual(statusOf(w).mirrors?.[0]?.inSync, [part("a")]);
  assert.equal(statusOf(w).mirrors?.[0]?.generation, 2);
});

test("a loss is known by its window: half-way, without its connection, it is not recorded again", () => {
  const w = inUse("a", { placement: ["a", "b", "c"] });
  lose(w, "b");
  rounds(w, 3);
  assert.equal(w.trace.filter((t) => t.kind === "RecordOut").length, 1);
});

test("the last recorded member is held, not released; the sentence names its node", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  lose(w, "b");
  rounds(w, 3);
  pullDrive(w, a, 0);
  a.agent.seen = null;
  const mark = w.trace.length;
  rounds(w, 3);
  assert.deepEqual(doneByAll(w, mark), []);
  assert.deepEqual(a.agent.last?.plan?.waits, ["writes are held: node a holds the last good copy of mirror 0 and does not answer"]);
  assert.deepEqual(statusOf(w).mirrors?.[0]?.inSync, [part("a")]);
});

test("both lost at once: the one that MD failed by itself is recorded out, the held one has every write and stays", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  pullDrive(w, a, 0);
  write(w, a);
  lose(w, "b");
  assert.deepEqual(
    a.arrays[0]?.members.map((m) => [m.window.uuid, m.faulty]),
    [
      [part("a"), true],
      [part("b"), false],
    ],
  );
  const mark = w.trace.length;
  rounds(w, 3);
  // Neither is removed while the other is held (Z3), and the last member in sync is never failed (Z1).
  assert.deepEqual(doneBy(w, "a", mark), ["RecordOut"]);
  assert.deepEqual(statusOf(w).mirrors?.[0]?.inSync, [part("b")]);
  assert.deepEqual(a.agent.last?.plan?.waits, ["writes are held: node b holds the last good copy of mirror 0 and does not answer"]);
});

test("a member that MD still counts on as its last one is not failed, although it is recorded out (Z1)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  lose(w, "b");
  for (let i = 0; i < 100 && a.agent.session.recordedOut.length === 0; i += 1) stepAll(w);
  pullDrive(w, a, 0);
  Object.assign(a.arrays[0]!.members[0]!, { faulty: true, kicked: true });
  assert.deepEqual(nextOf(w, a).actions, []);
  assert.deepEqual(nextOf(w, a).waits, ["writes are held: node a holds the last good copy of mirror 0 and does not answer"]);
});

test("a member taken out of the array by hand is recorded out at once", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  a.arrays[0]!.members.splice(1, 1);
  assert.deepEqual(
    nextOf(w, a).actions.map((x) => (x.kind === "RecordOut" ? x.members : x.kind)),
    [[{ partitionUUID: part("b"), mirror: 0, attach: 1 }]],
  );
  a.agent.seen = null;
  rounds(w, 1);
  rest(w, a);
});

test("a connection that is gone altogether gives its number up too: it is not connected a second time (Z6)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  const conn = a.conns[0]!;
  conn.gone = true;
  conn.broken = true;
  a.conns.length = 0;
  a.agent = { ...a.agent, seen: null, session: EMPTY_SESSION };
  const [next] = nextOf(w, a).actions;
  assert.deepEqual(next?.kind === "RecordOut" ? next.members : next, [{ partitionUUID: part("b"), mirror: 0, attach: 1 }]);
  rounds(w, 1);
  rest(w, a);
  assert.deepEqual([...w.connected].sort(), [`nqn.2025-12.io.meshstor:${part("b")}:e1:a1`, `nqn.2025-12.io.meshstor:${part("b")}:e1:a2`]);
});

test("a reset that was seen stays a loss, also when the connection is live again (Z6)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  a.conns[0]!.state = "connecting";
  for (let i = 0; i < 100 && !statusOf(w).partitions?.some((p) => p.state === "Missing"); i += 1) stepAll(w);
  a.conns[0]!.state = "live";
  a.agent.seen = null;
  const mark = w.trace.length;
  rounds(w, 1);
  assert.deepEqual(doneBy(w, "a", mark).slice(0, 4), ["StampLabel", "FailMember", "Disconnect", "RemoveMember"]);
});

test("a release waits for nothing else: neither provider actions nor those of the intent share its batch", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  // A stale export of the node's own partition, which would have to be cut.
  a.exports.push({
    nqn: `nqn.2025-12.io.meshstor:${part("a")}:e0:a1`,
    part: a.drives[0]!.parts[0]!,
    drive: a.drives[0]!,
    device: "nvme0n1p1",
    incarnation: 0,
    epoch: 0,
    attach: 1,
    hostNQN: "",
    ready: true,
    late: [],
  });
  assert.deepEqual(kinds(nextOf(w, a).actions), ["CutExport"]);
  lose(w, "b");
  assert.deepEqual(kinds(nextOf(w, a).actions), ["RecordOut"]);
});

test("a complete member is recorded before the last recorded one is lost for good", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  lose(w, "b");
  rounds(w, 3);
  powerOn(w, nodeOf(w, "b"));
  until(w, "b resynced", () => a.arrays[0]!.members.filter((m) => m.inSync).length === 2);
  assert.deepEqual(statusOf(w).mirrors?.[0]?.inSync, [part("a")]);
  pullDrive(w, a, 0);
  a.agent.seen = null;
  const mark = w.trace.length;
  round(w, 1_000);
  assert.deepEqual(doneBy(w, "a", mark).slice(0, 2), ["RecordIn", "RecordOut"]);
  assert.deepEqual(statusOf(w).mirrors?.[0]?.inSync, [part("b")]);
});

test("a new process records a loss again before it releases it (Z5)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  lose(w, "b");
  for (let i = 0; i < 100 && !statusOf(w).partitions?.some((p) => p.state === "Missing"); i += 1) stepAll(w);
  a.agent = { ...a.agent, session: EMPTY_SESSION, pass: null, seen: null };
  assert.deepEqual(kinds(nextOf(w, a).actions), ["RecordOut"]);
  a.agent.bumped.clear();
  const mark = w.trace.length;
  rounds(w, 2);
  assert.deepEqual(doneBy(w, "a", mark), RELEASE);
  assert.equal(statusOf(w).mirrors?.[0]?.generation, 3);
});

test("without the API nothing is released: writes stay held, reads end (I10), and it is said", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  lose(w, "b");
  w.api.cut.add("a");
  const mark = w.trace.length;
  rounds(w, 5);
  assert.deepEqual(doneByAll(w, mark), []);
  assert.equal(write(w, a), false);
  assert.equal(a.agent.last?.error?.code, "ApiUnavailable");
  rounds(w, 2);
  assert.deepEqual(doneByAll(w, mark), ["a SuspendVolume"]);
  w.api.cut.clear();
  rounds(w, 2);
  assert.deepEqual(doneBy(w, "a", mark), ["SuspendVolume", ...RELEASE.slice(0, 4), "ResumeVolume", ...RELEASE.slice(4)]);
  assert.equal(write(w, a), true);
  assert.ok(latest(w));
});

test("a drive of this node that takes requests and answers none is named, after its bound and not while it completes any (Z21)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  const { volume, host, me } = inputOf(w, a);
  const window = host.windows.find((x) => x.partitionUUID === part("a"))!;
  let session = a.agent.session;
  const waits = (completed: number, ms: number): string[] => {
    w.nowMs += ms;
    const seen = { ...host, windows: host.windows.map((x) => (x === window ? { ...x, inflight: 2, completed } : x)) };
    session = afterLook(session, viewVolume(volume, seen, me), w.nowMs);
    return nextOf(w, a, { host: seen, session }).waits;
  };
  const sentence = "writes wait for drive SERIALa0:1 of node a, which answers no request; they go on when it answers, or when its kernel gives it up";
  assert.deepEqual([waits(7, 0), waits(8, 9_000), waits(8, 9_000), waits(8, 1_000), waits(9, 1_000)], [[], [], [], [sentence], []]);
});
