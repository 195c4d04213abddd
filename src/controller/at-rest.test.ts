import assert from "node:assert/strict";
import { test } from "node:test";
import { mirror, NOW, ownerOf, partition, volume } from "../core/testing/builders.ts";
import { toldAtRest, toldOfOwner } from "./at-rest.ts";

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

test("a silent owner: said once, in sentence and condition, and taken back once it is heard of", () => {
  const status = { epoch: 1, owner: ownerOf("a"), mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")], mdState: "active", copies: 2, message: "" };
  const told = toldOfOwner(volume(status), clock, true);
  const message =
    "node a has the volume in use and has not been heard of for 40 s: what is shown is its last word; another node takes the volume over when a pod there asks for it";
  assert.deepEqual(told, {
    ...status,
    message,
    conditions: [
      { type: "Ready", status: "Unknown", reason: "OwnerSilent", message, lastTransitionTime: NOW },
      { type: "Redundant", status: "True", reason: "InSync", message, lastTransitionTime: NOW },
    ],
  });
  assert.equal(toldOfOwner(volume(told), clock, true), null, "it stands already");
  const healthy = "all 2 copies are in sync; nothing is waited for";
  assert.deepEqual(toldOfOwner(volume(told), clock, false), {
    ...status,
    conditions: [
      { type: "Ready", status: "True", reason: "InUse", message: healthy, lastTransitionTime: NOW },
      { type: "Redundant", status: "True", reason: "InSync", message: healthy, lastTransitionTime: NOW },
    ],
  });
  assert.equal(toldOfOwner(volume(status), clock, false), null, "an owner that is heard of speaks for itself");
  assert.equal(toldOfOwner(volume({ mirrors: [mirror(["a"])] }), clock, true), null, "at rest");
});
