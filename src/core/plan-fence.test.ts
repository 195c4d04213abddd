import assert from "node:assert/strict";
import { test } from "node:test";
import { boundsOf } from "./bounds.ts";
import { EMPTY_SESSION } from "./session.ts";
import { stage, unstage } from "./testing/builders.ts";
import { stageOn, until } from "./testing/liveness.ts";
import { submit } from "./testing/md.ts";
import { createWorld, detectLosses, killAgent, powerOff, powerOn, togglePublish } from "./testing/model.ts";
import { doneBy, inputOf, inUse, isStaged, nextOf, rest, rounds, stepAll } from "./testing/scenes.ts";
import { isolate, takeoverAndReturn } from "./testing/stories.ts";
import type { VolumeKind } from "./testing/kind.ts";
import type { NodeState, World } from "./testing/world.ts";
import { latest, nodeOf, statusOf, Violation } from "./testing/world.ts";

const kinds = (actions: readonly { kind: string }[]): string[] => actions.map((a) => a.kind);

/** b holds the only good copy, and goes away while a uses the volume. */
function lastCopyAway(kind: VolumeKind = "xfs"): { w: World; a: NodeState; b: NodeState } {
  const w = inUse("a", { placement: ["a", "b"], guards: true, kind });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  a.drives[0]!.present = false;
  a.drives[0]!.incarnation += 1;
  rounds(w, 3);
  assert.deepEqual(statusOf(w).mirrors?.[0]?.inSync.length, 1);
  for (const array of a.arrays) submit(w, array, 2);
  powerOff(w, b);
  detectLosses(w);
  return { w, a, b };
}

test("unstage of a volume whose last good copy is away: by force after its bound, not before; unclean, R as it was (I8)", () => {
  const { w, a, b } = lastCopyAway();
  rounds(w, 2);
  a.wants = "unstage";
  const mark = w.trace.length;
  rounds(w, 5);
  assert.deepEqual(
    doneBy(w, "a", mark).filter((k) => k !== "SuspendVolume"),
    [],
  );
  assert.match(a.agent.last?.plan?.waits.join("; ") ?? "", /volume pvc-1 has writes that are held: it is stopped by force in \d+ s unless they can be released \(I8\)/);
  const before = statusOf(w).mirrors;
  until(w, "unstaged", () => a.wants === "none", { ms: 5_000 });
  assert.deepEqual(
    doneBy(w, "a", mark).filter((k) => k !== "SuspendVolume"),
    ["KillUsers", "ShutdownFilesystem", "Disconnect", "GuardVolume", "ResumeVolume", "UnmountStage", "RemoveVolumeDevice", "StopMirror", "CloseWindow", "RecordRelease"],
  );
  assert.deepEqual([statusOf(w).lastStop, statusOf(w).mirrors, statusOf(w).owner], ["Unclean", before, undefined]);
  powerOn(w, b);
  a.drives[0]!.present = true;
  stageOn(w, a);
  rest(w, a);
});

for (const [kind, end] of [
  ["block", ["FailVolume", "UnmountStage"]],
  ["ext4", ["FailVolume", "ShutdownFilesystem", "UnmountStage"]],
] as const)
  test(`by force, ${kind}: nothing new is begun before anybody is killed, and the device fails whoever comes after (I4)`, () => {
    const { w, a } = lastCopyAway(kind);
    a.wants = "unstage";
    const mark = w.trace.length;
    assert.deepEqual(kinds(nextOf(w, a, { session: { ...EMPTY_SESSION, claimedEpoch: 1, killed: true } }).actions), ["SuspendVolume"]);
    until(w, "unstaged", () => a.wants === "none", { ms: 5_000 });
    const done = doneBy(w, "a", mark);
    assert.deepEqual(done.slice(done.indexOf("KillUsers") + 1), ["Disconnect", "GuardVolume", ...end, "RemoveVolumeDevice", "StopMirror", "CloseWindow", "RecordRelease"]);
  });

test("held for a while and released in time: an ordinary unstage", () => {
  const w = inUse("a", { placement: ["a", "b"], guards: true });
  const a = nodeOf(w, "a");
  isolate(w, a);
  a.wants = "unstage";
  rounds(w, 10);
  w.api.cut.clear();
  const mark = w.trace.length;
  until(w, "unstaged", () => a.wants === "none");
  assert.deepEqual([doneBy(w, "a", mark).includes("KillUsers"), statusOf(w).lastStop], [false, "Clean"]);
});

test("a stop by force is finished once begun: also by a new process, and when kubelet wants the volume again", () => {
  const { w, a, b } = lastCopyAway();
  a.wants = "unstage";
  for (let i = 0; i < 10_000 && !a.shutDown; i += 1) stepAll(w);
  assert.deepEqual(a.mounts.length, 1);
  killAgent(w, a);
  const mark = w.trace.length;
  powerOn(w, b);
  a.drives[0]!.present = true;
  a.wants = "stage";
  until(w, "staged", () => a.wants === "none" && isStaged(a), { ms: 2_000 });
  assert.deepEqual([a.shutDown, doneBy(w, "a", mark)[0], doneBy(w, "a", mark).includes("RecordClaim")], [false, "KillUsers", true]);
});

test("a filesystem that is found shut down is stopped and mounted anew, not reported as staged", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  a.shutDown = true;
  const next = nextOf(w, a, { intent: stage });
  assert.deepEqual([kinds(next.actions), next.done], [["KillUsers"], false]);
  assert.deepEqual(kinds(nextOf(w, a, { intent: stage, session: { ...a.agent.session, killed: true } }).actions), ["UnmountStage"]);
  assert.deepEqual(kinds(nextOf(w, a).actions), []);
});

test("what runs is newer than the record: a restored backup, or an edit; nothing is touched", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  for (const x of a.windows) x.epoch = 2;
  for (const intent of [stage, unstage]) {
    const next = nextOf(w, a, { intent, session: EMPTY_SESSION });
    assert.deepEqual(
      [next.actions, next.refusal],
      [[], { code: "RecordOlderThanLabel", message: "volume pvc-1 runs on this node in epoch 2, and the record is at epoch 1; nothing is touched" }],
    );
  }
});

test("in use by another pod mount: an unstage by force waits for it to be unpublished", () => {
  const { w, a } = lastCopyAway();
  togglePublish(w, a);
  const input = inputOf(w, a, { intent: unstage });
  const session = { ...input.session, seen: { ...input.session.seen, stuckMs: input.nowMs - boundsOf().unstageHeldMs } };
  assert.match(nextOf(w, a, { intent: unstage, session }).refusal?.message ?? "", /^volume pvc-1 is still mounted at \/pod$/);
});

test("users that came after the killing are killed again", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  const volume = { ...latest(w)!, status: { ...statusOf(w), epoch: 2, owner: undefined } };
  const { owner: _owner, ...status } = volume.status;
  const foreign = { ...volume, status };
  const killed = { ...EMPTY_SESSION, killed: true, shutDown: true };
  assert.deepEqual(kinds(nextOf(w, a, { volume: foreign, session: EMPTY_SESSION }).actions), ["KillUsers"]);
  assert.deepEqual(kinds(nextOf(w, a, { volume: foreign, session: { ...killed, shutDown: false } }).actions), ["ShutdownFilesystem"]);
  assert.deepEqual(kinds(nextOf(w, a, { volume: foreign, session: killed }).actions), ["FailMember"]);
});

test("the former owner's member, brought back by the array's bitmap alone, would have diverged (E14, I5)", () => {
  const options = { seed: 1, copies: 2, stripes: 1, placement: ["a", "b"], guards: true };
  const right = createWorld(options);
  takeoverAndReturn(right);
  const wrong = createWorld(options);
  wrong.wrong = { bareReAdd: true };
  assert.throws(
    () => takeoverAndReturn(wrong),
    (error: unknown) => error instanceof Violation && error.rule === "I5",
  );
});

test("a start whose only good copy lost its connection before anything was mounted is begun again in another epoch", () => {
  const w = createWorld({ seed: 1, copies: 1, stripes: 1, placement: ["b"] });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  for (const drive of a.drives) drive.present = false;
  rounds(w, 3);
  a.wants = "stage";
  for (let i = 0; i < 10_000 && a.arrays.length === 0; i += 1) stepAll(w);
  powerOff(w, b);
  detectLosses(w);
  powerOn(w, b);
  const { epoch } = statusOf(w);
  assert.deepEqual([a.arrays.length, a.mounts.length], [1, 0]);
  until(w, "staged on a", () => a.wants === "none" && isStaged(a), { ms: 5_000 });
  assert.ok((statusOf(w).epoch ?? 0) > epoch!);
});

test("claimed and never mounted, because the call was given up half-way: handed over when asked, also with kubelet alive", () => {
  const w = createWorld({ seed: 1, copies: 2, stripes: 1, placement: ["a", "b"] });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  rounds(w, 3);
  a.wants = "stage";
  for (let i = 0; i < 10_000 && a.arrays.length === 0; i += 1) stepAll(w);
  // kubelet is refused and starts the pod elsewhere: it does not unstage what it never had.
  Object.assign(a, { wants: "none", mayBeStaged: false });
  a.agent.intent = { kind: "none" };
  assert.deepEqual([a.mounts.length, statusOf(w).owner?.nodeName], [0, "a"]);
  stageOn(w, b);
  assert.deepEqual([statusOf(w).owner?.nodeName, a.arrays.length], ["b", 0]);
});
