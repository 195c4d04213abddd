import assert from "node:assert/strict";
import { test } from "node:test";
import { mirror, NOW, ownerOf, partition, volume } from "../core/testing/builders.ts";
import { toldAtRest } from "./at-rest.ts";

const clock = { nowMs: () => 0, wallMs: () => Date.parse(NOW) };

test("at rest: summary, sentence and conditions in one status, written once; an owner speaks for itself", () => {
  const left = { epoch: 1, lastStop: "Clean" as const, mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state: "Missing" })] };
  const told = toldAtRest(volume(left), clock);
  const message = "degraded: the copy on node b is missing; the node that uses the volume next brings it up to date when it is back";
  assert.deepEqual(told, {
    ...left,
    ...{
      phase: "Synced",
      mdState: "stopped",
      syncPercentage: "",
      totalDevices: 2,
      activeDevices: 1,
      failedDevices: 0,
      downDevices: 1,
      ready: "1/2",
      degraded: 1,
      copies: 1,
      message,
    },
    conditions: [
      { type: "Ready", status: "True", reason: "AtRest", message, lastTransitionTime: NOW },
      { type: "Redundant", status: "False", reason: "CopyMissing", message, lastTransitionTime: NOW },
    ],
  });
  assert.equal(toldAtRest(volume(told), { ...clock, wallMs: () => Date.parse(NOW) + 60_000 }), null);
  assert.equal(toldAtRest(volume({ ...left, owner: ownerOf("a") }), clock), null);
});
