import assert from "node:assert/strict";
import { test } from "node:test";
import { put } from "./testing/api.ts";
import { avoid, scale, setTimeOut } from "./testing/controller.ts";
import { isHealthy, until } from "./testing/liveness.ts";
import { detectLosses, powerOff, powerOn, pullDrive } from "./testing/model.ts";
import { doneBy, inUse, rest, write } from "./testing/scenes.ts";
import type { World } from "./testing/world.ts";
import { latest, nodeOf, statusOf } from "./testing/world.ts";

const copies = (w: World) =>
  statusOf(w)
    .partitions!.map((p) => `${p.nodeID} ${p.state}`)
    .sort();
/** Members of R and copies wanted, in every version of the record since a mark. */
const fewest = (w: World, since: number) => Math.min(...w.api.versions.slice(since).flatMap((v) => v!.status!.mirrors!.map((m) => m.inSync.length)));

/** b is off for longer than its time-out. */
function lost(placement: string[], options: { stripes?: number } = {}): World {
  const w = inUse("a", { placement, ...options });
  setTimeOut(w, 60);
  powerOff(w, nodeOf(w, "b"));
  detectLosses(w);
  return w;
}

test("a copy that stays away is replaced on another node, and retired when the new one is in sync; wiped when its node is back", () => {
  const w = lost(["a", "b"]);
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  write(w, a);
  until(w, "c in the place of b", () => copies(w).join() === "a Synced,b Deleting,c Synced", { ms: 10_000 });
  assert.deepEqual(statusOf(w).partitions!.find((p) => p.nodeID === "b")!.detached, true);
  write(w, a);
  powerOn(w, b);
  until(w, "nothing left of b", () => copies(w).join() === "a Synced,c Synced", { ms: 10_000 });
  assert.ok(doneBy(w, "b").includes("WipePartition"));
  rest(w, a);
});

test("back after its time-out and before another took its place: it is used again, by bitmap", () => {
  const w = lost(["a", "b", "c"]);
  const [a, b] = [nodeOf(w, "a"), nodeOf(w, "b")];
  write(w, a);
  until(w, "b given up", () => copies(w).join() === "a Synced,b Faulty,c Synced", { ms: 10_000 });
  assert.match(statusOf(w).placementMessage!, /^No replacement node available: /);
  powerOn(w, b);
  const mark = w.trace.length;
  rest(w, a);
  assert.deepEqual([copies(w), doneBy(w, "a", mark).includes("ReAddMember"), statusOf(w).placementMessage], [["a Synced", "b Synced", "c Synced"], true, undefined]);
});

test("striped: a drive that is pulled takes one member; its whole copy moves, because each of its node's drives carries one", () => {
  const w = inUse("a", { placement: ["a", "b"], stripes: 2 });
  setTimeOut(w, 60);
  pullDrive(w, nodeOf(w, "b"), 0);
  // Nobody is told of a remote drive that is gone before it is written to.
  write(w, nodeOf(w, "a"));
  until(w, "the copy on c", () => copies(w).join() === "a Synced,a Synced,b Deleting,c Synced,c Synced", { ms: 10_000 });
});

test("scaled up and down: a slot is added for each, the faulted copy goes first, never one of the pod's node", () => {
  const w = inUse("a", { placement: ["a"] });
  const a = nodeOf(w, "a");
  scale(w, 3);
  rest(w, a);
  assert.deepEqual([copies(w), a.arrays[0]!.raidDisks], [["a Synced", "b Synced", "c Synced"], 3]);
  setTimeOut(w, 60);
  powerOff(w, nodeOf(w, "b"));
  detectLosses(w);
  until(w, "b given up", () => copies(w).includes("b Faulty"), { ms: 10_000 });
  scale(w, 2);
  until(w, "two copies", () => copies(w).join() === "a Synced,b Deleting,c Synced" && a.arrays[0]!.raidDisks === 2, { ms: 10_000 });
  scale(w, 1);
  until(w, "one copy", () => copies(w).join() === "a Synced,b Deleting", { ms: 10_000 });
});

test("a copy that is still being made goes when it is not wanted any more", () => {
  const w = inUse("a", { placement: ["a", "b"] });
  const v = latest(w)!;
  powerOff(w, nodeOf(w, "c"));
  put(w, { ...v, spec: { ...v.spec, numberOfCopies: 3 } });
  const c = { ...statusOf(w).partitions![1]!, partitionUUID: "99999999-0000-4000-8000-000000000000", nodeID: "c", state: "Requested" as const };
  put(w, { ...latest(w)!, status: { ...statusOf(w), partitions: [...statusOf(w).partitions!, c] } });
  scale(w, 2);
  until(w, "c retired", () => copies(w).join() === "a Synced,b Synced,c Deleting", { ms: 10_000 });
});

test("moving: the source stays in R until the new copy is in R; with one copy as well, and off the pod's node", () => {
  for (const placement of [["a", "b"], ["a"]]) {
    const w = inUse("a", { placement });
    const leaving = placement.at(-1)!;
    const mark = w.api.versions.length;
    avoid(w, leaving);
    until(w, "moved", () => isHealthy(w, nodeOf(w, "a")), { ms: 10_000 });
    assert.deepEqual([copies(w).some((c) => c.startsWith(leaving)), copies(w).length, fewest(w, mark)], [false, placement.length, placement.length]);
    avoid(w, "");
    rest(w, nodeOf(w, "a"));
    assert.ok(copies(w).includes("a Synced"), "the pod's node has a copy again");
  }
});
