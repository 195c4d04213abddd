import assert from "node:assert/strict";
import { test } from "node:test";
import type { VolumeStatus } from "../api/volume.ts";
import type { OverridePlan } from "./override-plan.ts";
import { planOverride, recordOverrides } from "./override-plan.ts";
import { mirror, ownerOf, part, partition, volume } from "./testing/builders.ts";

const LATER = "2026-11-20T12:00:00Z";
const say = { evenHalfSynced: false, ownerIsOff: false, by: "jane", now: LATER };
const away = (node: string, mirror: number, change: object = {}) => partition(node, { mirror, state: "Missing", outSince: 2, ...change });
const striped = (second: string[] = ["a"]): VolumeStatus => ({
  epoch: 4,
  lastStop: "Unclean",
  mirrors: [mirror(["a"], { generation: 3 }), mirror(second, { index: 1, generation: 3 })],
  partitions: [partition("a"), partition("a", { mirror: 1 }), away("b", 0), second.includes("b") ? partition("b", { mirror: 1 }) : away("b", 1)],
});
function planned(status: VolumeStatus, copy: string, mirrors: number[] = []): OverridePlan {
  const plan = planOverride(volume(status, { drivesPerCopy: 2 }), { copy, mirrors });
  assert.ok(!("refusal" in plan), JSON.stringify(plan));
  return plan;
}

test("a copy is meant in every mirror that needs it, and recorded in all of them or none", () => {
  const plan = planned(striped(), "b");
  assert.deepEqual(
    plan.chosen,
    [0, 1].map((index) => ({ mirror: index, partitionUUID: part("b", index), nodeID: "b" })),
  );
  assert.deepEqual([plan.consistent, plan.sentences.length], [true, 2]);
  const result = recordOverrides(volume(striped(), { drivesPerCopy: 2 }), { copy: "b", mirrors: [] }, plan, say);
  assert.deepEqual(result, {
    ok: true,
    status: {
      epoch: 4,
      lastStop: "Unclean",
      mirrors: [mirror(["b"], { generation: 4 }), mirror(["b"], { index: 1, generation: 4 })],
      partitions: [
        partition("a", { state: "Missing", updatedAt: LATER }),
        partition("a", { mirror: 1, state: "Missing", updatedAt: LATER }),
        partition("b", { updatedAt: LATER }),
        partition("b", { mirror: 1, updatedAt: LATER }),
      ],
      overrides: [0, 1].map((index) => ({ at: LATER, by: "jane", mirror: index, chosen: part("b", index), givenUp: [part("a", index)], consistent: true })),
    },
  });
  const half = { ...striped(), partitions: [partition("a"), partition("a", { mirror: 1 }), away("b", 0), away("b", 1, { half: true })] };
  assert.deepEqual(recordOverrides(volume(half, { drivesPerCopy: 2 }), { copy: "b", mirrors: [] }, planned(half, "b"), say), {
    ok: false,
    refusal: `partition ${part("b", 1)} is half-synced`,
  });
});

test("stripes of different moments: said", () => {
  const one = planned(striped(["a", "b"]), "b");
  assert.deepEqual(
    [one.chosen.map((c) => c.mirror), one.sentences[1]],
    [[0], "mirror 1 goes on from its newer copies: the volume becomes a mixture of two moments, and its filesystem must be checked before it is trusted"],
  );
  const apart = { ...striped(), partitions: [partition("a"), partition("a", { mirror: 1 }), away("b", 0), away("b", 1, { updatedAt: LATER })] };
  assert.match(planned(apart, "b").sentences[2] ?? "", /left at different times/);
});

test("by partition, by mirror; what is wrong is named", () => {
  assert.deepEqual(
    [planned(striped(), part("b", 1)).chosen, planned(striped(), "b", [0]).chosen].map((c) => c.map((x) => x.mirror)),
    [[1], [0]],
  );
  const refusal = (status: VolumeStatus, copy: string, mirrors: number[] = []) => {
    const plan = planOverride(volume(status), { copy, mirrors });
    return "refusal" in plan ? plan.refusal : "accepted";
  };
  const twice = { ...striped(), partitions: [...striped().partitions!, away("b", 0, { partitionUUID: part("e") })] };
  assert.deepEqual(
    [refusal({}, "b"), refusal(striped(), "b", [2]), refusal(striped(), "x"), refusal(striped(), part("b", 1), [0]), refusal(striped(), "a"), refusal(twice, "b")],
    [
      "volume pvc-1 was never used: it has nothing to lose and nothing to override",
      "volume pvc-1 has no mirror 2 (it has 0, 1)",
      "volume pvc-1 has no copy on node x and no partition of this UUID",
      "the copy has no member in mirror 0",
      "the copy is recorded in sync: no override is needed",
      `node b holds more than one partition of mirror 0: name one by its UUID (${part("b")}, ${part("e")})`,
    ],
  );
});

test("a person vouched for one owner: another one that came meanwhile is not given up", () => {
  const wish = { copy: "b", mirrors: [] };
  const before = { ...striped(), owner: ownerOf("a") };
  const result = recordOverrides(volume({ ...before, owner: ownerOf("c"), epoch: 5 }, { drivesPerCopy: 2 }), wish, planned(before, "b"), { ...say, ownerIsOff: true });
  assert.deepEqual(result, { ok: false, refusal: "the record has changed since you were shown what it would mean: look again" });
  const told = recordOverrides(volume({ ...before, message: "another" }, { drivesPerCopy: 2 }), wish, planned(before, "b"), { ...say, ownerIsOff: true });
  assert.deepEqual([told.ok, told.ok && told.status.owner], [true, undefined]);
});

test("a person has seen something else: refused", () => {
  const changed = { ...striped(), mirrors: [mirror(["a", "c"], { generation: 4 }), mirror(["a"], { index: 1 })], partitions: [...striped().partitions!, partition("c")] };
  assert.deepEqual(recordOverrides(volume(changed, { drivesPerCopy: 2 }), { copy: "b", mirrors: [] }, planned(striped(), "b"), say), {
    ok: false,
    refusal: "the record has changed since you were shown what it would mean: look again",
  });
});
