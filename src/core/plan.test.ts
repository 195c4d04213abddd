import assert from "node:assert/strict";
import { test } from "node:test";
import { ALL_HOST_KINDS } from "./action.ts";
import { FRESH_KINDS, plan } from "./plan.ts";
import { EMPTY_SESSION } from "./session.ts";
import { emptyHost, exported, mirror, ownerOf, part, partition, planInput, stage, volume } from "./testing/builders.ts";
import { inUse, inputOf, nextOf } from "./testing/scenes.ts";
import { nodeOf } from "./testing/world.ts";

test("everything on the host is decided on a fresh read, but for mounts, the reading preference, and what an outage of the API must not hinder (I10)", () => {
  const cached = ALL_HOST_KINDS.filter((kind) => !FRESH_KINDS.has(kind));
  assert.deepEqual(cached, ["SetWriteMostly", "GuardVolume", "SuspendVolume", "ResumeVolume", "MountStage", "BindDevice", "UnmountStage", "MountPublish", "UnmountPublish"]);
});

test("planning changes nothing that it is given, and answers the same twice", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  for (const n of w.nodes) {
    const input = inputOf(w, n, { intent: stage });
    const before = structuredClone({ volume: input.volume, host: input.host, session: input.session });
    assert.deepEqual(plan(input), plan(input));
    assert.deepEqual({ volume: input.volume, host: input.host, session: input.session }, before);
  }
});

test("at rest nobody has anything to do, to wait for or to refuse", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  for (const n of w.nodes) assert.deepEqual(nextOf(w, n), { actions: [], waits: [], refusal: null, done: false });
});

test("a node that neither holds a copy nor owns the volume leaves it alone", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  assert.deepEqual(nextOf(w, nodeOf(w, "c"), { session: EMPTY_SESSION }).actions, []);
});

test("the owner cuts its own stale export while it claims, and waits for that before it assembles", () => {
  const nqn = `nqn.2025-12.io.meshstor:${part("b")}:e1:a1`;
  const exports = [{ nqn, partitionUUID: part("b"), epoch: 1, attach: 1, devicePath: "/dev/nvme0n1p1", enabled: true, allowedHosts: [], ports: ["1"] }];
  const partitions = [{ uuid: part("b"), drive: "SERIALb0:1", device: "nvme0n1p1", number: 1, startBytes: 0, sizeBytes: 1, holders: [] }];
  const host = { ...emptyHost("b"), exports, partitions };
  const free = volume({ epoch: 1, lastStop: "Clean", mirrors: [mirror(["b"])], partitions: [partition("b", { export: exported("b", 1, 1) })] });
  assert.deepEqual(
    plan(planInput("b", free, host, { intent: stage })).actions.map((a) => a.kind),
    ["CutExport", "RecordClaim"],
  );
  const claimed = { ...free, status: { ...free.status, epoch: 2, owner: ownerOf("b") } };
  const next = plan(planInput("b", claimed, host, { intent: stage, session: { ...EMPTY_SESSION, claimedEpoch: 2 } }));
  assert.deepEqual([next.actions.map((a) => a.kind), next.waits], [["CutExport"], [`the export of partition ${part("b")} to the former owner is withdrawn`]]);
});

test("a partition that a job still works on is not assembled (I7)", () => {
  const partitions = [{ uuid: part("a"), drive: "SERIALa0:1", device: "nvme0n1p1", number: 1, startBytes: 0, sizeBytes: 1, holders: [] }];
  const v = volume({ epoch: 1, owner: ownerOf("a", "First"), mirrors: [mirror(["a"], { created: false })], partitions: [partition("a", { state: "Created" })] });
  const session = { ...EMPTY_SESSION, claimedEpoch: 1, jobs: [`ZeroPartition:${part("a")}`] };
  const next = plan(planInput("a", v, { ...emptyHost("a"), partitions }, { intent: stage, session }));
  assert.deepEqual([next.actions, next.waits], [[], [`node a zeroes partition ${part("a")}`]]);
});
