import assert from "node:assert/strict";
import { test } from "node:test";
import type { OwnerRecord } from "../api/volume.ts";
import { boundsOf } from "./bounds.ts";
import type { Peer } from "./judge.ts";
import { plan } from "./plan.ts";
import { landPut } from "./testing/api.ts";
import { emptyHost, mirror, nodeUID, NOW, ownerOf, part, partition, planInput, stage, STAGING, volume } from "./testing/builders.ts";
import { round, stageOn, until } from "./testing/liveness.ts";
import { cut, detectLosses, killAgent, powerOff, powerOn, togglePublish } from "./testing/model.ts";
import { stepRecovery, submit } from "./testing/md.ts";
import { doneBy, inUse, isStaged, nextOf, rest, rounds, stepAll, write } from "./testing/scenes.ts";
import { isolate } from "./testing/stories.ts";
import type { NodeState, World } from "./testing/world.ts";
import { latest, nodeOf, statusOf } from "./testing/world.ts";

const gone: OwnerRecord = { ...ownerOf("b"), promiseMs: 13_000 };
const owned = (inSync: string[], owner = gone) =>
  volume({ epoch: 3, owner, mirrors: [mirror(inSync)], partitions: ["a", "b", "c"].map((node) => partition(node)), handOver: { nodeName: "c", epoch: 3, at: NOW } });
const silent: Partial<Peer> = { silentMs: boundsOf().leaseGoneMs + 1 };
const peers = (change: Record<string, Partial<Peer>>) =>
  new Map(["a", "b", "c"].map((node): [string, Peer] => [node, { nodeUID: nodeUID(node), outOfService: false, silentMs: 0, ...change[node] }]));
const next = (v: ReturnType<typeof owned>, change: Record<string, Partial<Peer>> | null) =>
  plan(planInput("a", v, emptyHost("a"), { intent: stage, peers: change === null ? null : peers(change) }));
const stagedOn = (w: World, n: NodeState) => until(w, `staged on ${n.name}`, () => isStaged(n) && n.wants === "none", { ms: 2_000 });

test("who may be replaced: silent with a promise, declared dead without; a living owner or one that cannot be judged never", () => {
  const from = (judged: string) => ({ kind: "RecordClaim", from: { nodeUID: nodeUID("b"), bootID: "boot-b-1", judged } });
  const acts = (v: ReturnType<typeof owned>, change: Record<string, Partial<Peer>> | null) => next(v, change).actions.map(({ why: _why, ...action }) => action);
  const { promiseMs: _promise, ...unpromised } = gone;
  assert.deepEqual(acts(owned(["a", "b"]), { b: silent }), [from("Silent")]);
  assert.deepEqual(acts(owned(["a", "b"], unpromised), { b: { outOfService: true } }), [from("OutOfService")]);
  assert.deepEqual(acts(owned(["a", "b"], unpromised), { b: { nodeUID: nodeUID("c") } }), [from("Deleted")]);
  assert.deepEqual(next(owned(["a", "b"], unpromised), { b: silent }).refusal, {
    code: "OwnerGone",
    message: "volume pvc-1 is owned by node b, and its heartbeat has stopped; bring the node back, or declare it out of service if its machine is off",
  });
  const alive = { code: "VolumeInUse", message: "volume pvc-1 is owned by node b since 2026-11-20T10:00:00Z; it must be unstaged there first" };
  for (const change of [{}, { b: { silentMs: 39_000 } }, { b: { silentMs: null } }, null])
    assert.deepEqual([next(owned(["a", "b"]), change).actions, next(owned(["a", "b"]), change).refusal], [[], alive]);
});

test("nothing is claimed if some mirror has no recorded member in reach: the sentence names who holds the last good copy (I3)", () => {
  const sentence = (nodes: string) => ({
    code: "NoGoodCopy",
    message: `volume pvc-1 is owned by node b, and its heartbeat has stopped; the last good copy of mirror 0 is on node ${nodes}: bring it back`,
  });
  assert.deepEqual([next(owned(["b"]), { b: silent }).refusal, next(owned(["b"]), { b: silent }).actions], [sentence("b"), []]);
  assert.deepEqual(next(owned(["b", "c"]), { b: silent, c: silent }).refusal, sentence("b, c"));
  assert.equal(next(owned(["b", "c"]), { b: silent }).actions[0]?.kind, "RecordClaim");
});

test("declared dead: no wait; the other copy starts alone, the dead one is recorded out first", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  write(w, a);
  powerOff(w, a);
  a.outOfService = true;
  b.wants = "stage";
  const mark = w.trace.length;
  const began = w.nowMs;
  until(w, "staged on b", () => isStaged(b), { ms: 500 });
  assert.deepEqual(doneBy(w, "b", mark), [
    ...["RecordClaim", "CutExport", "StampLabel", "RecordOut", "StampLabel", "OpenWindow", "AssembleMirror", "RecordFenced"],
    ...["CreateVolumeDevice", "MountStage"],
  ]);
  assert.ok(w.nowMs - began <= 1_000, `${w.nowMs - began} ms`);
  assert.deepEqual(statusOf(w).owner, { ...ownerOf("b", "Unclean"), since: statusOf(w).owner?.since });
  assert.deepEqual(statusOf(w).former, [
    { nodeName: "a", nodeUID: nodeUID("a"), bootID: "boot-a-1", epoch: 1, judged: "OutOfService", waitMs: 0, waited: true, at: statusOf(w).former?.[0]?.at },
  ]);
});

test("silent: cut at once, exported and used only when the promise has run out (I10); then the former owner may come back", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const [a, b, c] = [nodeOf(w, "a"), nodeOf(w, "b"), nodeOf(w, "c")];
  togglePublish(w, a);
  for (const array of a.arrays) submit(w, array, 2);
  isolate(w, a);
  c.wants = "stage";
  until(w, "claimed", () => statusOf(w).epoch === 2, { ms: 1_000 });
  const claimed = w.nowMs;
  round(w, 100);
  assert.deepEqual([b.exports, a.volumeDevice?.suspended], [[], true]);
  assert.match(b.agent.last?.plan?.waits[0] ?? "", /^node a may serve reads of the volume for 13 s more: partition bbbbbbbb-\S+ waits \(I10\)$/);
  stagedOn(w, c);
  assert.ok(w.nowMs - claimed >= 13_000, `${w.nowMs - claimed} ms`);
  write(w, c);
  w.api.cut.clear();
  w.cuts.clear();
  const mark = w.trace.length;
  rounds(w, 3);
  assert.deepEqual(doneBy(w, "a", mark).slice(0, 12), [
    ...["KillUsers", "ShutdownFilesystem", "FailMember", "Disconnect", "GuardVolume", "ResumeVolume", "UnmountStage", "UnmountStage"],
    ...["RemoveVolumeDevice", "StopMirror", "CloseWindow", "CloseWindow"],
  ]);
  assert.ok(doneBy(w, "a", mark).includes("RecordTornDown"));
  rest(w, c);
  assert.equal(statusOf(w).former, undefined);
});

test("a former owner that confirms its tear-down need not be waited for", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  killAgent(w, a);
  a.agentDown = true;
  b.wants = "stage";
  until(w, "claimed", () => statusOf(w).epoch === 2, { ms: 1_000 });
  a.agentDown = false;
  const claimed = w.nowMs;
  until(w, "staged on b", () => isStaged(b), { ms: 500 });
  assert.ok(w.nowMs - claimed < 8_000, `${w.nowMs - claimed} ms`);
});

test("a takeover that never started anything does not shorten the wait of the next one", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const [a, b, c] = [nodeOf(w, "a"), nodeOf(w, "b"), nodeOf(w, "c")];
  isolate(w, a);
  b.wants = "stage";
  until(w, "claimed", () => statusOf(w).epoch === 2, { ms: 1_000 });
  b.wants = "unstage";
  until(w, "given up", () => statusOf(w).owner === undefined, { ms: 200 });
  c.wants = "stage";
  until(w, "claimed again", () => statusOf(w).epoch === 3, { ms: 200 });
  const claimed = w.nowMs;
  assert.deepEqual(
    statusOf(w).former?.map((f) => [f.nodeName, f.epoch, f.waitMs, f.waited]),
    [["a", 1, 13_000, undefined]],
  );
  stagedOn(w, c);
  assert.ok(w.nowMs - claimed >= 13_000, `${w.nowMs - claimed} ms`);
});

test("a living owner that kubelet has left hands over when asked, cleanly; one that is used, or whose kubelet lives, does not", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  togglePublish(w, a);
  b.wants = "stage";
  rounds(w, 3);
  assert.deepEqual([statusOf(w).handOver?.nodeName, statusOf(w).owner?.nodeName, a.mounts.length], ["b", "a", 2]);
  a.kubeletDead = true;
  rounds(w, 3);
  assert.equal(statusOf(w).owner?.nodeName, "a");
  a.podGone = true;
  const mark = w.trace.length;
  stagedOn(w, b);
  assert.deepEqual(doneBy(w, "a", mark).slice(0, 8), [
    "UnmountStage",
    "UnmountStage",
    "RemoveVolumeDevice",
    "StopMirror",
    "CloseWindow",
    "CloseWindow",
    "Disconnect",
    "RecordRelease",
  ]);
  assert.deepEqual([statusOf(w).owner?.start, statusOf(w).handOver, statusOf(w).former], ["Clean", undefined, undefined]);
});

test("the owner of the last good copy goes on while it is cut off from the API: it is not robbed, and needs no proof (I10)", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  powerOff(w, b);
  detectLosses(w);
  rounds(w, 3);
  isolate(w, a);
  powerOn(w, b);
  b.wants = "stage";
  for (let i = 0; i < 30; i += 1) round(w, 2_000);
  assert.match(
    b.agent.last?.plan?.refusal?.message ?? "",
    /^volume pvc-1 is owned by node a, and its heartbeat has stopped; the last good copy of mirror 0 is on node a: bring it back$/,
  );
  assert.deepEqual([statusOf(w).epoch, a.volumeDevice?.suspended, write(w, a)], [1, false, true]);
});

test("an agent that is dead on a living node: its guard keeps the promise when the member is cut off (Z16)", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  killAgent(w, a);
  a.agentDown = true;
  for (let i = 0; i < 25; i += 1) round(w, 2_000);
  assert.equal(a.volumeDevice?.suspended, false);
  b.wants = "stage";
  stagedOn(w, b);
  assert.deepEqual([a.volumeDevice?.suspended, a.mounts.length, statusOf(w).owner?.nodeName], [true, 1, "b"]);
  a.agentDown = false;
  rest(w, b);
  assert.deepEqual([a.mounts, a.arrays], [[], []]);
});

test("the copy of a former owner is of use to others only when it has stopped", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const [a, b, c] = [nodeOf(w, "a"), nodeOf(w, "b"), nodeOf(w, "c")];
  w.api.cut.add("a");
  c.wants = "stage";
  until(w, "claimed", () => statusOf(w).epoch === 2, { ms: 1_000 });
  cut(w, "b", "c");
  for (let i = 0; i < 20; i += 1) round(w, 2_000);
  assert.match(c.agent.last?.error?.message ?? c.agent.last?.plan?.refusal?.message ?? "", /connecting to|last good copy/);
  assert.deepEqual([isStaged(a), a.exports, b.exports.map((e) => e.epoch)], [true, [], [2]]);
  w.api.cut.clear();
  stagedOn(w, c);
  assert.equal(latest(w)?.status?.mirrors?.[0]?.inSync.includes(part("a")), true);
});

test("staging on a former owner: what is left there is taken down first, then it is claimed as by anybody else", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  isolate(w, a);
  stageOn(w, b);
  b.wants = "unstage";
  until(w, "unstaged", () => b.wants === "none");
  a.wants = "stage";
  w.api.cut.clear();
  w.cuts.clear();
  const mark = w.trace.length;
  until(w, "staged on a", () => a.wants === "none" && isStaged(a), { ms: 1_000 });
  const done = doneBy(w, "a", mark);
  assert.deepEqual([done[0], done.indexOf("RecordTornDown") < done.indexOf("RecordClaim"), statusOf(w).epoch], ["KillUsers", true, 3]);
  assert.equal(nextOf(w, a, { intent: stage }).done, true);
  assert.deepEqual(a.mounts, [{ target: STAGING, published: false }]);
});

test("a record that let a member in counts although its answer was lost: the new owner starts from just that one (I10)", () => {
  const w = inUse("a", { placement: ["a", "b", "c"], guards: true });
  const [a, b, c] = [nodeOf(w, "a"), nodeOf(w, "b"), nodeOf(w, "c")];
  powerOff(w, c);
  detectLosses(w);
  rounds(w, 3);
  powerOn(w, c);
  const entering = () => a.agent.point?.moment === "within" && a.agent.point.kind === "RecordIn";
  for (let i = 0; i < 20_000 && !entering(); i += 1) {
    stepAll(w);
    for (const array of a.arrays) stepRecovery(w, array);
  }
  assert.deepEqual(statusOf(w).mirrors?.[0]?.inSync, [part("a"), part("b")]);
  // The write lands, the owner never hears of it; b's program is dead, so its connection to the owner lives on.
  w.api.cut.add("a");
  assert.equal(landPut(w, w.api.pending[0]!), true);
  cut(w, "a", "c");
  killAgent(w, b);
  b.agentDown = true;
  c.wants = "stage";
  stagedOn(w, c);
  assert.deepEqual([a.conns.find((x) => x.provider === "b")?.state, a.volumeDevice?.suspended, statusOf(w).mirrors?.[0]?.inSync], ["live", true, [part("c")]]);
});

test("deleted, and its owner is declared dead: another node lets go of it, never of one that is only silent or alive", () => {
  const at = { deletionTimestamp: "2026-11-20T11:00:00Z" };
  const deleted = (change: Record<string, Partial<Peer>>) => {
    const v = owned(["a", "b"]);
    return plan(planInput("a", { ...v, metadata: { ...v.metadata, ...at } }, emptyHost("a"), { peers: peers(change) })).actions;
  };
  assert.deepEqual(deleted({ b: { outOfService: true } }), [
    {
      kind: "RecordRelease",
      clean: false,
      from: { nodeUID: nodeUID("b"), bootID: "boot-b-1", judged: "OutOfService" },
      why: "volume pvc-1 is deleted, node b owned it, and it is declared out of service",
    },
  ]);
  for (const change of [{}, { b: silent }]) assert.ok(!deleted(change).some((a) => a.kind === "RecordRelease"));
  assert.ok(!next(owned(["a", "b"]), { b: { outOfService: true } }).actions.some((a) => a.kind === "RecordRelease"));
});
