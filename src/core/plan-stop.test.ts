import assert from "node:assert/strict";
import { test } from "node:test";
import { plan } from "./plan.ts";
import { EMPTY_SESSION } from "./session.ts";
import { emptyHost, exported, mirror, ownerOf, partition, planInput, stage, unstage, volume } from "./testing/builders.ts";
import { leftoversOf } from "./testing/host.ts";
import { deleteWithoutATrace } from "./testing/stories.ts";
import { stageOn, unstageEverywhere, until } from "./testing/liveness.ts";
import { deleteVolume, detectLosses, powerOff, powerOn, togglePublish } from "./testing/model.ts";
import { doneBy, doneByAll, inputOf, inUse, isStaged, nextOf, rest, rounds, stepAll } from "./testing/scenes.ts";
import { latest, nodeOf, partsOf, statusOf } from "./testing/world.ts";

test("clean unstage: down in order, recorded clean, exports withdrawn", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const mark = w.trace.length;
  unstageEverywhere(w);
  rounds(w, 1);
  assert.deepEqual(doneBy(w, "a", mark), ["UnmountStage", "RemoveVolumeDevice", "StopMirror", "CloseWindow", "CloseWindow", "Disconnect", "RecordRelease"]);
  assert.deepEqual(doneBy(w, "b", mark), ["CutExport"]);
  const { owner, lastStop, mdState, epoch } = statusOf(w);
  assert.deepEqual({ owner, lastStop, mdState, epoch }, { owner: undefined, lastStop: "Clean", mdState: "stopped", epoch: 1 });
  assert.deepEqual(w.nodes.flatMap(leftoversOf), []);
});

test("unstaged with a copy away: clean for those who are there; the absent one's claim stays", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  powerOff(w, nodeOf(w, "b"));
  detectLosses(w);
  rounds(w, 3);
  unstageEverywhere(w);
  assert.deepEqual([statusOf(w).lastStop, statusOf(w).partitions?.find((p) => p.nodeID === "b")?.outSince], ["Clean", 2]);
});

test("stopped in another process than the one that stops to record: unclean (Z15)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  a.wants = "unstage";
  for (let i = 0; i < 200 && a.arrays.length > 0; i += 1) stepAll(w);
  a.agent = { ...a.agent, session: EMPTY_SESSION, pass: null, seen: null };
  until(w, "unstaged", () => a.wants === "none");
  assert.equal(statusOf(w).lastStop, "Unclean");
});

test("a member lost while its array stopped: unclean, because its last superblock may not have arrived (Z15)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  a.wants = "unstage";
  for (let i = 0; i < 200 && !(a.agent.point?.moment === "before" && a.agent.point.kind === "StopMirror"); i += 1) stepAll(w);
  a.conns[0]!.broken = true;
  until(w, "unstaged", () => a.wants === "none");
  assert.equal(statusOf(w).lastStop, "Unclean");
  stageOn(w, a);
  rest(w, a);
});

test("still mounted for a pod: refused with the path, nothing is touched", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  togglePublish(w, a);
  const next = nextOf(w, a, { intent: unstage });
  assert.deepEqual([next.actions, next.refusal], [[], { code: "VolumeInUse", message: "volume pvc-1 is still mounted at /pod" }]);
});

test("a stop broken off by a new stage is finished first; what comes after is another epoch", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  a.wants = "unstage";
  for (let i = 0; i < 200 && a.arrays.length > 0; i += 1) stepAll(w);
  a.wants = "stage";
  const mark = w.trace.length;
  until(w, "staged", () => isStaged(a) && a.wants === "none");
  assert.deepEqual(doneBy(w, "a", mark).slice(0, 5), ["CloseWindow", "CloseWindow", "Disconnect", "RecordRelease", "RecordClaim"]);
  assert.deepEqual([statusOf(w).epoch, statusOf(w).owner?.start], [2, "Clean"]);
  rest(w, a);
});

test("connected, unstaged before anything was assembled, staged again: the connection is not used a second time (Z6)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  unstageEverywhere(w);
  a.wants = "stage";
  for (let i = 0; i < 200 && a.conns.length === 0; i += 1) stepAll(w);
  assert.equal(a.arrays.length, 0);
  a.wants = "unstage";
  for (let i = 0; i < 200 && a.conns.length > 0; i += 1) stepAll(w);
  a.wants = "stage";
  const mark = w.trace.length;
  until(w, "staged", () => isStaged(a) && a.wants === "none");
  rest(w, a);
  assert.ok(doneBy(w, "a", mark).includes("RecordDetached") || statusOf(w).epoch === 3);
});

test("ownership of an earlier boot that nobody asks for is given up, uncleanly; so is one whose process ended half-way", () => {
  const v = (boot: number) => volume({ epoch: 4, owner: ownerOf("a", "Clean", boot), mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] });
  const release = (why: string) => [{ kind: "RecordRelease", clean: false, why }];
  assert.deepEqual(plan(planInput("a", v(0), emptyHost("a"))).actions, release("this node ran the volume in an earlier boot, and nothing of it is left (I8)"));
  assert.deepEqual(plan(planInput("a", v(1), emptyHost("a"))).actions, release("everything of the volume is gone from this node (I8)"));
  assert.deepEqual(plan(planInput("a", v(1), emptyHost("a"), { session: { ...EMPTY_SESSION, claimedEpoch: 4 } })).actions, [], "this very process is at it");
});

test("unstage right after a claim that the cache does not show: not done before it does", () => {
  const before = volume({ epoch: 1, lastStop: "Clean", mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] });
  const session = { ...EMPTY_SESSION, claimedEpoch: 2 };
  const next = plan(planInput("a", before, emptyHost("a"), { intent: unstage, session }));
  assert.deepEqual([next.done, next.actions, next.waits], [false, [], ["the record of epoch 2 is not seen yet on this node"]]);
  assert.equal(plan(planInput("a", before, emptyHost("a"), { intent: unstage })).done, true);
});

test("leftovers of a volume that another node owns are taken down, by force where somebody may use them (I4)", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  const v = latest(w)!;
  const foreign = { ...v, status: { ...v.status, epoch: 2, owner: ownerOf("b") } };
  const session = EMPTY_SESSION;
  assert.deepEqual(nextOf(w, a, { volume: foreign, session }).actions, [
    { kind: "KillUsers", name: "meshstor-pvc-1", targets: ["/staging"], why: "whoever waits for a held write must not hear of success (I4)" },
  ]);
  const host = { ...inputOf(w, a).host, mounts: [], connections: [], mirrors: inputOf(w, a).host.mirrors.map((m) => ({ ...m, members: m.members.slice(0, 1) })) };
  assert.deepEqual(
    nextOf(w, a, { volume: foreign, session: { ...session, killed: true }, host }).actions.map((x) => x.kind),
    ["RemoveVolumeDevice"],
  );
  const noDevice = { ...host, volumeDevices: [] };
  assert.deepEqual(
    nextOf(w, a, { volume: foreign, session, host: noDevice }).actions.map((x) => (x.kind === "StopMirror" ? x.clean : x.kind)),
    [false],
  );
});

test("an array that the recorded epoch did not assemble is not adopted (I4): taken down, or refused while it is mounted", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  for (const x of a.windows) x.epoch = 7;
  const message = "volume pvc-1 runs on this node in epoch 7, and the record is at epoch 1; nothing is touched";
  assert.deepEqual(nextOf(w, a, { intent: stage }).refusal, { code: "RecordOlderThanLabel", message });
  for (const x of a.windows.slice(1)) x.epoch = 1;
  a.windows[0]!.epoch = 0;
  const mixed = "mirror 0 of volume pvc-1 runs with members that epoch 1 did not assemble, and is mounted";
  assert.deepEqual(nextOf(w, a, { intent: stage }).refusal, { code: "Unsafe", message: mixed });
  for (const x of a.windows) x.epoch = 7;
  const host = { ...inputOf(w, a).host, mounts: [] };
  assert.deepEqual(
    nextOf(w, a, { host, session: EMPTY_SESSION, intent: stage }).actions.map((x) => x.kind),
    ["RemoveVolumeDevice"],
  );
  const bare = { ...host, volumeDevices: [] };
  assert.deepEqual(
    nextOf(w, a, { host: bare, session: EMPTY_SESSION, intent: stage }).actions.map((x) => (x.kind === "StopMirror" ? x.clean : x.kind)),
    [false],
  );
  // One that a host tool put together from the partitions themselves has no windows at all.
  const byTool = { ...bare, windows: [], mirrors: bare.mirrors.map((m) => ({ ...m, members: m.members.map((x) => ({ ...x, device: `nvme-${x.device}`, partitionUUID: null })) })) };
  assert.deepEqual(
    nextOf(w, a, { host: byTool, session: EMPTY_SESSION, intent: stage }).actions.map((x) => x.kind),
    ["StopMirror"],
  );
});

test("kubelet is answered as soon as the volume is staged or gone; what else there is to do is said, not done first", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  unstageEverywhere(w);
  const c = nodeOf(w, "c");
  stageOn(w, c);
  const next = nextOf(w, c, { intent: stage });
  assert.deepEqual([next.done, next.actions, next.waits], [true, [], ["the node that runs the pod holds a copy"]]);
  assert.deepEqual(
    nextOf(w, c).actions.map((x) => x.kind),
    ["RecordRequestLocal"],
  );
  const v = volume({ epoch: 1, lastStop: "Clean", mirrors: [mirror(["a", "b"])], partitions: [partition("a", { export: exported("a", 1, 1) }), partition("b")] });
  const nqn = "nqn.2025-12.io.meshstor:aaaaaaaa-0000-4000-8000-000000000000:e1:a1";
  const exports = [
    { nqn, partitionUUID: "aaaaaaaa-0000-4000-8000-000000000000", epoch: 1, attach: 1, devicePath: "/dev/nvme0n1p1", enabled: true, allowedHosts: [], ports: ["1"] },
  ];
  const gone = plan(planInput("a", v, { ...emptyHost("a"), exports }, { intent: unstage }));
  assert.deepEqual([gone.done, gone.actions, gone.waits], [true, [], [`export ${nqn} is no longer wanted by the record`]]);
});

test("agent restarted at rest: the running volume is adopted, nothing is done", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  for (const n of w.nodes) n.agent = { ...n.agent, session: EMPTY_SESSION, seen: null };
  const mark = w.trace.length;
  rounds(w, 3);
  assert.deepEqual(doneByAll(w, mark), []);
  assert.deepEqual(nextOf(w, nodeOf(w, "a"), { intent: stage }).done, true);
});

test("delete with one node off: the others clean up at once, it does when it is back; then nothing is left", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const b = nodeOf(w, "b");
  unstageEverywhere(w);
  powerOff(w, b);
  deleteVolume(w);
  rounds(w, 4);
  assert.deepEqual(
    statusOf(w).partitions?.map((p) => p.nodeID),
    ["b"],
  );
  assert.deepEqual([partsOf(nodeOf(w, "a")).length, partsOf(b).length], [0, 1]);
  powerOn(w, b);
  const mark = w.trace.length;
  rounds(w, 4);
  assert.deepEqual(doneBy(w, "b", mark), ["WipePartition", "DeletePartition", "RecordDeleted"]);
  assert.equal(latest(w), null);
});

test("deleted while its owner is gone for good: declared dead, the others let go of it and clean up", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  powerOff(w, a);
  deleteVolume(w);
  a.outOfService = true;
  const mark = w.trace.length;
  rounds(w, 6);
  assert.deepEqual(doneBy(w, "b", mark), ["RecordRelease", "CutExport", "WipePartition", "DeletePartition", "RecordDeleted"]);
  assert.deepEqual(
    statusOf(w).partitions?.map((p) => p.nodeID),
    ["a"],
    "what is on the other's drive is wiped when it is back",
  );
  assert.ok(b);
});

test("deleted while its owner is off and rebooted: ownership is given up, then it is wiped everywhere", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const a = nodeOf(w, "a");
  powerOff(w, a);
  deleteVolume(w);
  rounds(w, 3);
  assert.ok(latest(w), "owned by a, which may come back");
  powerOn(w, a);
  Object.assign(a, { wants: "none", mayBeStaged: false });
  deleteWithoutATrace(w);
});
