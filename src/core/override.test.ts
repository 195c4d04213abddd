import assert from "node:assert/strict";
import { test } from "node:test";
import type { VolumeStatus } from "../api/volume.ts";
import { overrideOutlook, recordOverride } from "./override.ts";
import type { OverrideRequest } from "./override.ts";
import { mirror, NOW, ownerOf, part, partition, volume } from "./testing/builders.ts";

const LATER = "2026-11-20T12:00:00Z";
const request: OverrideRequest = { mirror: 0, chosen: part("b"), evenHalfSynced: false, ownerIsOff: true, by: "jane", now: LATER };
const left = (change: Partial<ReturnType<typeof partition>> = {}): VolumeStatus => ({
  epoch: 4,
  owner: ownerOf("a"),
  nodeName: "a",
  mirrors: [mirror(["a"], { generation: 7 }), mirror(["a"], { index: 1 })],
  partitions: [partition("a"), partition("b", { state: "Missing", outSince: 6, ...change }), partition("c", { state: "Missing", outSince: 5 }), partition("a", { mirror: 1 })],
});
const refused = (status: VolumeStatus, change: Partial<OverrideRequest> = {}): string => {
  const result = recordOverride(volume(status), { ...request, ...change });
  assert.ok(!result.ok, "accepted");
  return result.refusal;
};

test("what a person is told: who is given up, and whether the copy is whole", () => {
  assert.deepEqual(overrideOutlook(volume(left()), request), {
    givenUp: [{ partitionUUID: part("a"), nodeID: "a" }],
    consistent: true,
    sentence:
      "volume pvc-1, mirror 0: every write since the copy on node b left the volume is lost with the copy on node a; the chosen copy is whole, as of the moment when it left",
  });
  const half = overrideOutlook(volume(left({ half: true })), request);
  assert.deepEqual(
    [half?.consistent, half?.sentence.split("; ")[1]],
    [false, "the chosen copy is half-synced: a rebuild into it had begun, and its content is neither old nor new"],
  );
  assert.equal(overrideOutlook(volume(left()), { mirror: 1, chosen: part("b") }), null);
});

test("the chosen copy is R alone, the owner goes, everyone else is rebuilt in full, and it is kept who decided", () => {
  const result = recordOverride(volume(left()), request);
  assert.deepEqual(result, {
    ok: true,
    status: {
      epoch: 4,
      lastStop: "Unclean",
      mirrors: [mirror(["b"], { generation: 8 }), mirror(["a"], { index: 1 })],
      partitions: [
        partition("a", { state: "Missing", updatedAt: LATER }),
        partition("b", { updatedAt: LATER }),
        partition("c", { state: "Missing" }),
        partition("a", { mirror: 1 }),
      ],
      former: [{ nodeName: "a", nodeUID: ownerOf("a").nodeUID, bootID: "boot-a-1", epoch: 4, judged: "OutOfService", waitMs: 0, at: LATER }],
      overrides: [{ at: LATER, by: "jane", mirror: 0, chosen: part("b"), givenUp: [part("a")], consistent: true }],
    },
  });
});

test("refused: half-synced unless it was said, an owner that may run, a copy that is good or is none", () => {
  assert.equal(refused(left({ half: true })), `partition ${part("b")} is half-synced`);
  const forced = recordOverride(volume(left({ half: true })), { ...request, evenHalfSynced: true });
  assert.deepEqual(forced.ok && [forced.status.overrides?.[0]?.consistent, forced.status.partitions?.[1]], [false, partition("b", { updatedAt: LATER })]);
  assert.equal(refused(left(), { ownerIsOff: false }), "node a owns the volume: it must be off for good");
  assert.equal(refused(left(), { chosen: part("a") }), `partition ${part("a")} is recorded in sync: no override is needed`);
  assert.equal(refused(left(), { chosen: part("d") }), `partition ${part("d")} is not a member of mirror 0`);
  for (const state of ["Requested", "Created", "Faulty", "Replacing", "Deleting"] as const)
    assert.equal(refused(left({ state }), { evenHalfSynced: true }), `partition ${part("b")} is in state ${state}: it holds no copy`);
  assert.equal(refused({ partitions: [partition("b")] }), `partition ${part("b")} is not a member of mirror 0`);
});

test("a record that was overridden keeps what others were waited for", () => {
  const former = { nodeName: "c", nodeUID: "c", bootID: "c", epoch: 2, judged: "Silent" as const, waitMs: 12_000, at: NOW };
  const result = recordOverride(volume({ ...left(), former: [former] }), request);
  assert.deepEqual(result.ok && result.status.former?.map((f) => [f.nodeName, f.waitMs]), [
    ["c", 12_000],
    ["a", 0],
  ]);
});
