import assert from "node:assert/strict";
import { test } from "node:test";
import type { Action } from "./action.ts";
import { EMPTY_SESSION } from "./session.ts";
import { part } from "./testing/builders.ts";
import { put } from "./testing/api.ts";
import { round, stageOn, unstageEverywhere, until } from "./testing/liveness.ts";
import { cut, detectLosses, powerOff, powerOn, pullDrive } from "./testing/model.ts";
import { doneBy, inputOf, inUse, nextOf, rest, rounds, stepAll, write } from "./testing/scenes.ts";
import type { NodeState, World } from "./testing/world.ts";
import { latest, nodeOf, statusOf } from "./testing/world.ts";

const kinds = (actions: readonly Action[]): string[] => actions.map((a) => a.kind);
const recordOf = (w: World, node: string) => statusOf(w).partitions?.find((p) => p.nodeID === node);

/** b is away and recorded out; a goes on alone. */
function degraded(placement = ["a", "b"]): { w: World; a: NodeState; b: NodeState } {
  const w = inUse("a", { placement });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  powerOff(w, b);
  detectLosses(w);
  rounds(w, 3);
  write(w, a);
  return { w, a, b };
}

test("return by bitmap: the provider announces a new number, the owner connects, announces, re-adds, records", () => {
  const { w, a, b } = degraded();
  powerOn(w, b);
  const mark = w.trace.length;
  rounds(w, 1);
  rest(w, a);
  assert.deepEqual(doneBy(w, "b", mark), ["RecordExport", "CreateExport"]);
  assert.deepEqual(doneBy(w, "a", mark), ["Connect", "RecordJoining", "OpenWindow", "ReAddMember", "RecordIn"]);
  const { state, outSince, export: e } = recordOf(w, "b")!;
  assert.deepEqual([state, outSince, e?.attach, e?.bootID], ["Synced", undefined, 2, "boot-b-2"]);
});

test("a provider that only lost its connection withdraws the given-up export first, then makes the next", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  cut(w, "a", "b");
  detectLosses(w);
  const mark = w.trace.length;
  rounds(w, 2);
  assert.deepEqual(doneBy(w, "b", mark), ["CutExport", "RecordExport", "CreateExport"]);
  w.cuts.clear();
  rest(w, a);
  assert.deepEqual(doneBy(w, "a", mark).slice(-5), ["Connect", "RecordJoining", "OpenWindow", "ReAddMember", "RecordIn"]);
});

test("a new process labels a member before it records it in sync (I2)", () => {
  const { w, a, b } = degraded();
  a.agent = { ...a.agent, session: EMPTY_SESSION, pass: null, seen: null };
  powerOn(w, b);
  const mark = w.trace.length;
  rounds(w, 1);
  rest(w, a);
  assert.deepEqual(doneBy(w, "a", mark), ["Connect", "RecordJoining", "StampLabel", "OpenWindow", "ReAddMember", "RecordIn"]);
});

test("a bitmap that proves nothing: rebuilt in full, and the claim on the bitmap ends in the record first (I5)", () => {
  const { w, a, b } = degraded();
  b.drives[0]!.parts[0]!.superblock = null;
  powerOn(w, b);
  const mark = w.trace.length;
  rounds(w, 1);
  rest(w, a);
  assert.deepEqual(
    doneBy(w, "a", mark).filter((k) => k !== "StampLabel"),
    ["Connect", "RecordJoining", "OpenWindow", "RecordJoining", "AddMember", "RecordIn"],
  );
});

test("a rebuild in full that is cut short is begun anew, never believed", () => {
  const { w, a, b } = degraded();
  b.drives[0]!.parts[0]!.superblock = null;
  powerOn(w, b);
  for (let i = 0; i < 200 && !a.arrays[0]!.members.some((m) => !m.inSync); i += 1) stepAll(w);
  assert.equal(recordOf(w, "b")?.outSince, undefined);
  powerOff(w, b);
  detectLosses(w);
  rounds(w, 2);
  assert.deepEqual([recordOf(w, "b")?.state, recordOf(w, "b")?.outSince], ["Missing", undefined]);
  powerOn(w, b);
  const mark = w.trace.length;
  rounds(w, 20, 10_000);
  rest(w, a);
  assert.ok(doneBy(w, "a", mark).includes("AddMember"));
  assert.ok(!doneBy(w, "a", mark).includes("ReAddMember"));
});

test("who fills the last vacant slot ends the claims of those still away: they come back by a full rebuild", () => {
  const { w, a, b } = degraded();
  // The volume moves on with a third copy while b is away, and loses another member before b is retired.
  const [v, status] = [latest(w)!, statusOf(w)];
  const c = { ...recordOf(w, "b")!, partitionUUID: part("c"), nodeID: "c", drive: "SERIALc0:1", state: "Requested" as const };
  const { outSince: _o, export: _e, detachedAttach: _d, ...fresh } = c;
  put(w, { ...v, status: { ...status, partitions: [...status.partitions!, fresh] } });
  until(w, "c in sync", () => statusOf(w).mirrors?.[0]?.inSync.includes(part("c")) ?? false);
  assert.equal(recordOf(w, "b")?.outSince, undefined);
  assert.ok(a.arrays[0]!.members.length === 2 && !b.up);
});

test("announced while two slots were vacant, joining when it fills the last: the claims of others end before it does (I5)", () => {
  const { w, a, b } = degraded(["a", "b", "c"]);
  powerOn(w, b);
  for (let i = 0; i < 200 && !a.agent.session.joining.includes(part("b")); i += 1) stepAll(w);
  const v = latest(w)!;
  const absent = { ...recordOf(w, "b")!, partitionUUID: part("d"), nodeID: "d", state: "Missing" as const };
  const next = (change: object) => nextOf(w, a, { volume: { ...v, status: { ...v.status, partitions: [...v.status!.partitions!, { ...absent, ...change }] } } }).actions;
  assert.deepEqual(
    next({ outSince: 2 }).map((x) => (x.kind === "RecordJoining" ? [x.member.partitionUUID, x.fills, x.byBitmap] : x.kind)),
    [[part("b"), true, true]],
  );
  assert.ok(!kinds(next({ outSince: undefined })).includes("RecordJoining"));
});

test("an absent member keeps its claim while another returns and a slot stays vacant", () => {
  const { w, a, b } = degraded(["a", "b", "c"]);
  powerOff(w, nodeOf(w, "c"));
  detectLosses(w);
  rounds(w, 3);
  write(w, a, 2);
  powerOn(w, b);
  until(w, "b back", () => statusOf(w).mirrors?.[0]?.inSync.length === 2, { ms: 5_000 });
  assert.equal(recordOf(w, "c")?.outSince, 3);
  powerOn(w, nodeOf(w, "c"));
  const mark = w.trace.length;
  rounds(w, 1);
  rest(w, a);
  assert.ok(doneBy(w, "a", mark).includes("ReAddMember"));
  assert.ok(!doneBy(w, "a", mark).includes("AddMember"));
});

test("a claim outlives the owner: an unclean start from a member that had joined meanwhile still knows what the absent one misses", () => {
  const { w, a, b } = degraded(["a", "b", "c"]);
  const c = nodeOf(w, "c");
  powerOff(w, c);
  detectLosses(w);
  rounds(w, 3);
  write(w, a, 2);
  powerOn(w, b);
  until(w, "b back", () => statusOf(w).mirrors?.[0]?.inSync.length === 2, { ms: 5_000 });
  powerOff(w, a);
  powerOn(w, a);
  Object.assign(a, { wants: "none", mayBeStaged: false });
  rounds(w, 2);
  powerOff(w, a);
  stageOn(w, b);
  powerOn(w, c);
  const mark = w.trace.length;
  rounds(w, 10, 10_000);
  assert.ok(doneBy(w, "b", mark).includes("ReAddMember"));
  assert.deepEqual(statusOf(w).mirrors?.[0]?.inSync, [part("b"), part("c")]);
});

test("a member whose node announced an export and left keeps nobody else from joining", () => {
  const { w, a, b } = degraded(["a", "b", "c"]);
  powerOff(w, nodeOf(w, "c"));
  detectLosses(w);
  rounds(w, 3);
  powerOn(w, b);
  for (let i = 0; i < 100 && recordOf(w, "b")?.export?.attach !== 2; i += 1) stepAll(w);
  powerOff(w, b);
  powerOn(w, nodeOf(w, "c"));
  until(w, "c in sync", () => statusOf(w).mirrors?.[0]?.inSync.includes(part("c")) ?? false, { ms: 5_000 });
  assert.ok(a.up);
});

test("an added member whose slot was never made gets it from the next process", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  unstageEverywhere(w);
  const c = nodeOf(w, "c");
  stageOn(w, c);
  for (let i = 0; i < 500 && c.arrays[0]!.members.length < 3; i += 1) {
    stepAll(w);
    while (c.agent.jobs.length > 0) round(w, 10);
    if (c.arrays[0]!.members.some((m) => m.window.conn === null)) break;
  }
  const local = c.arrays[0]!.members.find((m) => m.window.conn === null)!;
  Object.assign(local, { inSync: false, todo: new Set([0]) });
  c.arrays[0]!.raidDisks = 2;
  c.arrays[0]!.recovering = false;
  c.agent = { ...c.agent, session: EMPTY_SESSION, pass: null, seen: null };
  assert.deepEqual(
    nextOf(w, c).actions.map((x) => (x.kind === "AddMember" ? [x.partitionUUID, x.growTo] : x.kind)),
    [[local.window.uuid, 3]],
  );
});

test("an array that an ended join has left frozen is let go on, and the member is rebuilt (Z3)", () => {
  const { w, a, b } = degraded();
  powerOn(w, b);
  for (let i = 0; i < 500 && a.arrays[0]!.members.length < 2; i += 1) stepAll(w);
  // Whatever ran mdadm was ended with it, as a pod's containers are.
  a.agent = { ...a.agent, session: EMPTY_SESSION, pass: null, seen: null };
  assert.equal(a.arrays[0]!.frozen, true);
  rest(w, a);
  assert.deepEqual([a.arrays[0]!.frozen, a.arrays[0]!.members.map((m) => m.inSync)], [false, [true, true]]);
});

test("a provider's drive that went and came back is behind its export no more: withdrawn and made anew, then the member joins", () => {
  const { w, a, b } = degraded();
  powerOn(w, b);
  for (let i = 0; i < 200 && a.conns.length === 0; i += 1) stepAll(w);
  pullDrive(w, b, 0);
  b.drives[0]!.present = true;
  const mark = w.trace.length;
  rounds(w, 20, 10_000);
  rest(w, a);
  assert.deepEqual(doneBy(w, "b", mark), ["CutExport", "RecordExport", "CreateExport"]);
});

test("joining waits: for a running resync, for the time after a failure; never while a member is held (Z3)", () => {
  const { w, a, b } = degraded();
  powerOn(w, b);
  for (let i = 0; i < 200 && a.conns.length === 0; i += 1) stepAll(w);
  a.agent.pass = null;
  const host = inputOf(w, a).host;
  const resyncing = { ...host, mirrors: host.mirrors.map((m) => ({ ...m, syncAction: "resync" })) };
  assert.deepEqual([nextOf(w, a, { host: resyncing }).waits, nextOf(w, a, { host: resyncing }).actions], [["mirror 0 resyncs"], []]);
  const later = { ...a.agent.session, joinNotBefore: { [part("b")]: w.nowMs + 1 } };
  assert.deepEqual(nextOf(w, a, { session: later }).actions, []);
  assert.deepEqual(kinds(nextOf(w, a, { session: later, nowMs: w.nowMs + 1 }).actions), ["RecordJoining"]);
  const held = { ...host, partitions: [] };
  assert.ok(!kinds(nextOf(w, a, { host: held }).actions).includes("RecordJoining"));
});

test("reads go to the local member: the preference is set again when somebody changed it", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  a.arrays[0]!.members[1]!.writeMostly = false;
  assert.deepEqual(
    nextOf(w, a).actions.map((x) => (x.kind === "SetWriteMostly" ? [x.window, x.writeMostly] : x.kind)),
    [["dm-1", true]],
  );
});

test("one copy moves to the pod's node through the vacant slot; the source stays until the new one is recorded in sync", () => {
  const w = inUse("a", { placement: ["a"] });
  unstageEverywhere(w);
  const c = nodeOf(w, "c");
  rounds(w, 1);
  const mark = w.trace.length;
  stageOn(w, c);
  rest(w, c);
  const own = doneBy(w, "c", mark);
  assert.deepEqual(own.slice(own.indexOf("MountStage") + 1), [
    ...["RecordRequestLocal", "CreatePartition", "ZeroPartition", "RecordCreated", "RecordJoining", "StampLabel", "OpenWindow", "AddMember", "RecordIn"],
    ...["RecordRetire", "StampLabel", "FailMember", "Disconnect", "RemoveMember", "CloseWindow", "RecordRetired"],
  ]);
  assert.deepEqual(
    statusOf(w).partitions?.map((p) => [p.nodeID, p.state]),
    [["c", "Synced"]],
  );
});

test("a slot is taken away only if no absent member still counts on the bitmap: a full array would clear it (I5)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  a.arrays[0]!.raidDisks = 3;
  const v = latest(w)!;
  const absent = { ...recordOf(w, "b")!, partitionUUID: part("c"), nodeID: "c", state: "Missing" as const, updatedAt: "2026-11-20T10:00:00Z" };
  const next = (outSince: object) =>
    nextOf(w, a, { volume: { ...v, spec: { ...v.spec, numberOfCopies: 2 }, status: { ...v.status, partitions: [...v.status!.partitions!, { ...absent, ...outSince }] } } });
  assert.deepEqual(kinds(next({}).actions), ["ShrinkMirror"]);
  assert.ok(!kinds(next({ outSince: 1 }).actions).includes("ShrinkMirror"));
});

test("a retired member is given up for wiping only after its connection is gone (I9)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const [a, v] = [nodeOf(w, "a"), latest(w)!];
  a.arrays[0]!.members.splice(1, 1);
  a.windows.splice(1, 1);
  const partitions = v.status!.partitions!.map((p) => (p.nodeID === "b" ? { ...p, state: "Replacing" as const } : p));
  const status = { ...v.status, partitions, mirrors: [{ ...v.status!.mirrors![0]!, inSync: [part("a")] }] };
  const next = () => kinds(nextOf(w, a, { volume: { ...v, status } }).actions);
  assert.deepEqual(next(), ["Disconnect"]);
  a.conns.length = 0;
  assert.deepEqual(next(), ["RecordRetired"]);
});

test("no copy is retired before as many as wanted are in sync", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  unstageEverywhere(w);
  const c = nodeOf(w, "c");
  stageOn(w, c);
  for (let i = 0; i < 100; i += 1) {
    stepAll(w);
    round(w, 100);
    assert.ok(statusOf(w).mirrors!.every((m) => m.inSync.length >= 2));
  }
  rest(w, c);
  assert.equal(recordOf(w, "c")?.state, "Synced");
});
