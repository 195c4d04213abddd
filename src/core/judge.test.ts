import assert from "node:assert/strict";
import { test } from "node:test";
import { BOUNDS, boundsOf, promiseOf } from "./bounds.ts";
import type { Peer, Peers } from "./judge.ts";
import { isDeclaredDead, judge } from "./judge.ts";
import { identity, nodeUID } from "./testing/builders.ts";

const bounds = boundsOf();
const a = identity("a");
const seen = (change: Partial<Peer> = {}): Peers => new Map([["a", { nodeUID: nodeUID("a"), outOfService: false, silentMs: 0, ...change }]]);

test("gone: Node object away or another's, taint, or a heartbeat that stopped; whatever cannot be judged is alive", () => {
  assert.deepEqual(
    [
      judge(a, seen(), bounds),
      judge(a, seen({ silentMs: bounds.leaseGoneMs }), bounds),
      judge(a, seen({ silentMs: bounds.leaseGoneMs + 1 }), bounds),
      judge(a, seen({ silentMs: null }), bounds),
      judge(a, seen({ outOfService: true }), bounds),
      judge(a, new Map(), bounds),
      judge(a, seen({ nodeUID: nodeUID("b") }), bounds),
      judge({ nodeName: "a" }, seen({ nodeUID: nodeUID("b") }), bounds),
      judge(a, null, bounds),
    ],
    [null, null, "Silent", null, "OutOfService", "Deleted", "Deleted", null, null],
  );
});

test("only a person's or the cluster's word needs no waiting", () => {
  assert.deepEqual([isDeclaredDead("Deleted"), isDeclaredDead("OutOfService"), isDeclaredDead("Silent"), isDeclaredDead(null)], [true, true, false, false]);
});

test("bounds: defaults, minimums, and the sum that an owner promises", () => {
  assert.deepEqual(boundsOf(), { freshGraceMs: 5_000, fenceMarginMs: 3_000, leaseGoneMs: 40_000, unstageHeldMs: 30_000, residualMs: 1_000, silentDriveMs: 10_000 });
  assert.deepEqual(boundsOf({ freshGraceMs: 1, leaseGoneMs: 60_000, residualMs: 0 }), { ...boundsOf(), freshGraceMs: 2_000, leaseGoneMs: 60_000, residualMs: 0 });
  assert.equal(promiseOf(boundsOf()), 13_000);
  for (const { defaultMs, minMs } of Object.values(BOUNDS)) assert.ok(defaultMs >= minMs);
});
