import assert from "node:assert/strict";
import { test } from "node:test";
import { boundsOf } from "./bounds.ts";
import { afterLook } from "./look.ts";
import { exportNQN } from "../api/names.ts";
import { part } from "./testing/builders.ts";
import { round } from "./testing/liveness.ts";
import { mdError, submit } from "./testing/md.ts";
import { cut, detectLosses, killAgent, powerOff, powerOn } from "./testing/model.ts";
import { applyAll } from "./testing/host.ts";
import { doneBy, inputOf, inUse, nextOf, rest, rounds, stepAll } from "./testing/scenes.ts";
import { isolate } from "./testing/stories.ts";
import { advance } from "./testing/time.ts";
import type { NodeState, World } from "./testing/world.ts";
import { nodeOf, statusOf } from "./testing/world.ts";
import { viewVolume } from "./view.ts";

const { freshGraceMs, residualMs } = boundsOf();
const nqn = (node: string, attach = 1) => exportNQN({ partitionUUID: part(node), epoch: 1, attach });
const kinds = (w: World, n: NodeState): string[] => nextOf(w, n).actions.map((a) => a.kind);

test("the guard watches the remote members of R from before the first mount; a member only after it enters R", () => {
  const w = inUse("a", { placement: ["a", "b", "c"], guards: true });
  const a = nodeOf(w, "a");
  const done = doneBy(w, "a");
  assert.ok(done.indexOf("GuardVolume") < done.indexOf("MountStage"));
  assert.deepEqual([...a.volumeDevice!.guard!.nqns].sort(), [nqn("b"), nqn("c")]);
  powerOff(w, nodeOf(w, "c"));
  detectLosses(w);
  const mark = w.trace.length;
  rounds(w, 3);
  assert.deepEqual(doneBy(w, "a", mark).slice(0, 3), ["RecordOut", "GuardVolume", "StampLabel"]);
  assert.deepEqual(a.volumeDevice!.guard!.nqns, [nqn("b")]);
  powerOn(w, nodeOf(w, "c"));
  rest(w, a);
  const joined = doneBy(w, "a", mark);
  assert.ok(joined.lastIndexOf("GuardVolume") < joined.lastIndexOf("RecordIn"));
});

test("R is a member of this node only: nothing to watch, nothing to prove", () => {
  const w = inUse("a", { placement: ["a"], guards: true });
  const a = nodeOf(w, "a");
  assert.equal(a.volumeDevice?.guard, null);
  isolate(w, a);
  rounds(w, 20);
  assert.deepEqual([a.volumeDevice?.suspended, nextOf(w, a).actions], [false, []]);
});

test("the API is away: nothing happens while the connections live (Z22)", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const a = nodeOf(w, "a");
  for (const n of w.nodes) w.api.cut.add(n.name);
  rounds(w, 60);
  assert.equal(a.volumeDevice?.suspended, false);
});

test("cut off from R and from the API: suspended within the grace, not before; resumed when the loss is recorded", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const a = nodeOf(w, "a");
  isolate(w, a);
  round(w, 0);
  const since = w.nowMs;
  while (!a.volumeDevice?.suspended) round(w, 500);
  assert.ok(w.nowMs - since > freshGraceMs && w.nowMs - since <= freshGraceMs + 1_000, `${w.nowMs - since} ms`);
  rounds(w, 2);
  assert.deepEqual(a.agent.last?.error?.code, "ApiUnavailable");
  w.api.cut.clear();
  const mark = w.trace.length;
  rounds(w, 1);
  assert.deepEqual(doneBy(w, "a", mark).slice(0, 6), ["RecordOut", "GuardVolume", "StampLabel", "FailMember", "Disconnect", "ResumeVolume"]);
  assert.deepEqual([a.volumeDevice?.suspended, statusOf(w).owner?.nodeName], [false, "a"]);
});

test("without a program the guard suspends by itself (Z16); the next one resumes when it can prove again", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const a = nodeOf(w, "a");
  killAgent(w, a);
  a.agentDown = true;
  cut(w, "a", "b");
  for (let i = 0; i < 44; i += 1) advance(w, 250);
  assert.equal(a.volumeDevice?.suspended, false);
  for (let i = 0; i < 10; i += 1) advance(w, 250);
  assert.equal(a.volumeDevice?.suspended, true);
  a.agentDown = false;
  rounds(w, 2);
  assert.equal(a.volumeDevice?.suspended, false);
});

test("a resume is refused when its proof has become too old meanwhile", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const a = nodeOf(w, "a");
  a.volumeDevice!.suspended = true;
  const [resume] = nextOf(w, a).actions;
  assert.deepEqual(resume, {
    kind: "ResumeVolume",
    name: "meshstor-pvc-1",
    notAfterMs: a.agent.session.seen.provenMs! + freshGraceMs,
    why: "every member that may be in R answers, or is of this node: still the owner (I10)",
  });
  w.nowMs += 2 * freshGraceMs;
  assert.throws(() => applyAll(w, a, resume as never), /too old/);
  assert.deepEqual([kinds(w, a), nextOf(w, a).waits], [[], ["the volume is suspended until its connections are looked at again (I10)"]]);
  rounds(w, 1);
  assert.equal(a.volumeDevice?.suspended, false);
});

test("MD failed a member of R and the record cannot be written: suspended until it is (the residual of I1)", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const a = nodeOf(w, "a");
  const array = a.arrays[0]!;
  submit(w, array, 1);
  w.api.cut.add("a");
  mdError(
    w,
    array,
    array.members.find((m) => m.window.conn === null)!,
  );
  for (let i = 0; i < 3; i += 1) stepAll(w);
  assert.equal(a.volumeDevice?.suspended, false);
  rounds(w, 3, residualMs);
  assert.deepEqual([a.volumeDevice?.suspended, nextOf(w, a).waits.length > 0], [true, true]);
  w.api.cut.clear();
  const mark = w.trace.length;
  rounds(w, 2);
  const done = doneBy(w, "a", mark);
  assert.deepEqual([a.volumeDevice?.suspended, done[0], done.indexOf("ResumeVolume") > 0], [false, "RecordOut", true]);
  rest(w, a);
});

test("suspended above held writes: they are released first, for the suspend ends only with them (Z14)", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const a = nodeOf(w, "a");
  killAgent(w, a);
  a.agentDown = true;
  cut(w, "a", "b");
  submit(w, a.arrays[0]!, 1);
  for (let i = 0; i < 60; i += 1) advance(w, 250);
  assert.equal(a.volumeDevice?.suspended, true);
  a.agentDown = false;
  const mark = w.trace.length;
  rounds(w, 3);
  const done = doneBy(w, "a", mark);
  assert.deepEqual([a.volumeDevice?.suspended, done[0], done.indexOf("Disconnect") < done.indexOf("ResumeVolume")], [false, "RecordOut", true]);
});

test("a loss between two looks: the proof is as old as the last moment at which the connection was seen live", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const a = nodeOf(w, "a");
  const provenMs = a.agent.session.seen.provenMs!;
  cut(w, "a", "b");
  detectLosses(w);
  w.nowMs += 10_000;
  const { volume, host, me } = inputOf(w, a);
  const view = viewVolume(volume, host, me);
  const proven = (liveAtMs: number | null, session = a.agent.session) => afterLook(session, view, w.nowMs, () => liveAtMs).seen.provenMs;
  const blank = { ...a.agent.session, seen: { ...a.agent.session.seen, provenMs: null } };
  assert.deepEqual([proven(null), proven(provenMs + 9_000), proven(provenMs - 1_000), proven(provenMs + 9_000, blank)], [provenMs, provenMs + 9_000, provenMs, null]);
});

test("a process that has proven nothing yet leaves its predecessor's guard as it is", () => {
  const w = inUse("a", { placement: ["a", "b", "c"], guards: true });
  const a = nodeOf(w, "a");
  const guard = { ...a.volumeDevice!.guard! };
  isolate(w, a);
  detectLosses(w);
  const [, ...rest] = a.conns;
  a.volumeDevice!.guard = { ...guard, nqns: guard.nqns.slice(0, 1) };
  const session = { ...a.agent.session, seen: { ...a.agent.session.seen, provenMs: null } };
  assert.deepEqual([rest.length, nextOf(w, a, { session }).actions.map((x) => x.kind)], [1, ["RecordOut"]]);
});
