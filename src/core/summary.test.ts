import assert from "node:assert/strict";
import { test } from "node:test";
import type { PartitionState, VolumeStatus } from "../api/volume.ts";
import type { HostSnapshot, Mirror } from "./observed.ts";
import type { Summary } from "./summary.ts";
import { summarise, summariseAtRest, withSummary } from "./summary.ts";
import { arrayUUID, emptyHost, identity, mirror, NOW, ownerOf, part, partition, volume } from "./testing/builders.ts";
import { viewVolume } from "./view.ts";

type MemberFlags = Record<string, string[]>;

/** a's kernel: one array a mirror, with these members and their flags; everything is reached. */
function hostOf(mirrors: MemberFlags[], change: Partial<Mirror> = {}): HostSnapshot {
  const windows = mirrors.flatMap((members, index) =>
    Object.keys(members).map((node) => ({
      device: `dm-${node}${index}`,
      name: "",
      partitionUUID: part(node, index),
      epoch: 1,
      below: "x",
      sizeBytes: 1,
      suspended: false,
      inflight: 0,
      completed: 0,
    })),
  );
  const arrays = mirrors.map((members, index): Mirror => ({
    ...{ device: `md${index}`, arrayUUID: arrayUUID(index), arrayState: "active", raidDisks: 2, degraded: 0, syncAction: "idle", syncCompleted: null },
    ...{ syncSpeedKiB: 0, hasBitmap: true, sizeBytes: 1, holders: [] },
    members: Object.entries(members).map(([node, flags], slot) => ({ device: `dm-${node}${index}`, partitionUUID: part(node, index), flags, slot })),
    ...change,
  }));
  return { ...emptyHost("a"), windows, mirrors: arrays };
}
function summaryOf(status: VolumeStatus, host: HostSnapshot, spec: { numberOfCopies?: number; drivesPerCopy?: number } = {}, waits: string[] = []): Summary {
  return summarise(viewVolume(volume({ epoch: 1, owner: ownerOf("a"), ...status }, spec), host, identity("a")), waits);
}
/** PHASE MDSTATE TOTAL ACTIVE FAILED DOWN SYNC as `kubectl get msvol -o wide` prints them (seeds 000 and 001). */
const wide = (s: Summary): string => [s.phase, s.mdState, s.totalDevices, s.activeDevices, s.failedDevices, s.downDevices, s.syncPercentage].join(" ").trim();
const S = ["in_sync"];

test("two copies in sync", () => {
  const s = summaryOf({ mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] }, hostOf([{ a: S, b: S }]));
  assert.deepEqual(s, {
    ...{ phase: "Synced", mdState: "active", syncPercentage: "", totalDevices: 2, activeDevices: 2, failedDevices: 0, downDevices: 0 },
    ...{ ready: "2/2", degraded: 0, copies: 2, message: "" },
  });
});

test("seed 000: a copy away is `Synced degraded 2 1 0 1`, and the sentence names its node", () => {
  const s = summaryOf({ mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state: "Missing" })] }, hostOf([{ a: S }]));
  assert.equal(wide(s), "Synced degraded 2 1 0 1");
  assert.deepEqual([s.ready, s.degraded, s.copies, s.message], ["1/2", 1, 1, "degraded: the copy on node b is missing; it is brought up to date when the node is back"]);
});

test("seeds 000 and 001: while it is brought up to date, `Syncing recovering 2 1 0 0 45.2%`", () => {
  const running = { syncAction: "recover", syncCompleted: { done: 452, total: 1000 } };
  const s = summaryOf({ mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state: "Syncing" })] }, hostOf([{ a: S, b: ["spare"] }], running));
  assert.equal(wide(s), "Syncing recovering 2 1 0 0 45.2%");
  assert.equal(s.message, "the copy on node b is brought up to date");
});

test("one copy at rest is `Synced active`: its vacant slot is no fault", () => {
  const s = summaryOf({ mirrors: [mirror(["a"])], partitions: [partition("a")] }, hostOf([{ a: S }], { degraded: 1 }), { numberOfCopies: 1 });
  assert.equal(wide(s), "Synced active 1 1 0 0");
  assert.deepEqual([s.ready, s.degraded, s.message], ["1/1", 0, ""]);
});

test("a copy that is retired: Replacing, and counted until it is gone", () => {
  const partitions = [partition("a"), partition("b"), partition("c", { state: "Replacing" })];
  const s = summaryOf({ mirrors: [mirror(["a", "b"])], partitions }, hostOf([{ a: S, b: S, c: S }]));
  assert.equal(wide(s), "Replacing active 3 2 0 0");
  const leaving = summaryOf({ mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b"), partition("c", { state: "Deleting" })] }, hostOf([{ a: S, b: S }]));
  assert.equal(wide(leaving), "Synced active 2 2 0 0");
});

test("a copy made in another's stead: `Replacing recovering`, the one given up counts as failed; why none is placed goes before the rest", () => {
  const running = { syncAction: "recover", syncCompleted: { done: 673, total: 1000 } };
  const partitions = [partition("a"), partition("b", { state: "Faulty" }), partition("c", { state: "Syncing", replaces: part("b") })];
  assert.equal(wide(summaryOf({ mirrors: [mirror(["a"])], partitions }, hostOf([{ a: S, c: ["spare"] }], running))), "Replacing recovering 3 1 1 0 67.3%");
  const none = { mirrors: [mirror(["a"])], partitions: partitions.slice(0, 2), placementMessage: "No replacement node available: none" };
  const s = summaryOf(none, hostOf([{ a: S }]));
  assert.deepEqual([wide(s), s.message], ["Synced degraded 2 1 1 0", "No replacement node available: none"]);
});

test("what a lacking copy waits for, and who does it", () => {
  const said = (...states: PartitionState[]) => {
    const partitions = [partition("a"), ...states.map((state, i) => partition("bc"[i]!, { state }))];
    return summaryOf({ mirrors: [mirror(["a"])], partitions }, hostOf([{ a: S }])).message;
  };
  assert.deepEqual(
    [said("Faulty"), said("Faulty", "Requested"), said("Faulty", "Created"), said("Faulty", "Syncing"), said()],
    [
      "degraded: the copy on node b is given up; the controller places another, or it comes back before that",
      "node c makes and zeroes a copy that is lacking",
      "node a takes in the copy that node c has made",
      "the copy on node c is brought up to date",
      "1 of 2 members are in sync",
    ],
  );
});

test("striped: counters are members, ready is copies that are whole; progress is weighted over the mirrors that resync", () => {
  const partitions = [0, 1].flatMap((m) => [partition("a", { mirror: m }), partition("b", { mirror: m, state: m === 0 ? "Synced" : "Syncing" })]);
  const host = hostOf([
    { a: S, b: S },
    { a: S, b: ["spare"] },
  ]);
  const mirrors = host.mirrors.map((m, i) => (i === 1 ? { ...m, syncAction: "recover", syncCompleted: { done: 3, total: 8 } } : m));
  const s = summaryOf({ mirrors: [mirror(["a", "b"]), mirror(["a"], { index: 1 })], partitions }, { ...host, mirrors }, { drivesPerCopy: 2 });
  assert.equal(wide(s), "Syncing recovering 4 3 0 0 37.5%");
  assert.deepEqual([s.ready, s.copies, s.degraded], ["1/2", 1, 1]);
});

test("not assembled: stopped; a resync that has no numbers yet is 0.0%; a waiting planner's sentence goes first", () => {
  const status = { mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] };
  const stopped = summaryOf(status, emptyHost("a"), {}, ["node b exports its member of mirror 0", "another"]);
  assert.deepEqual([stopped.mdState, stopped.activeDevices, stopped.message], ["stopped", 0, "node b exports its member of mirror 0"]);
  assert.equal(summaryOf(status, hostOf([{ a: S, b: S }], { syncAction: "resync" })).syncPercentage, "0.0%");
  assert.equal(summaryOf(status, hostOf([{ a: S, b: S }], { syncAction: "frozen" })).syncPercentage, "");
});

test("at rest, from the record alone: New, Requested, Synced, Deleting", () => {
  const rest = (status: VolumeStatus, deleted = false) => summariseAtRest(volume(status, {}, deleted ? { deletionTimestamp: NOW } : {}));
  assert.equal(wide(rest({})), "New  2 0 0 0");
  assert.equal(wide(rest({ partitions: [partition("a", { state: "Created" }), partition("b", { state: "Requested" })] })), "Requested  2 1 0 0");
  const made = { partitions: [partition("a", { state: "Created" }), partition("b", { state: "Created" })] };
  assert.deepEqual([wide(rest(made)), rest(made).ready], ["Synced stopped 2 2 0 0", "2/2"]);
  const degraded = { mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state: "Missing" })] };
  assert.deepEqual([wide(rest(degraded)), rest(degraded).ready, rest(degraded).degraded], ["Synced stopped 2 1 0 1", "1/2", 1]);
  assert.equal(wide(rest({ partitions: [partition("a", { state: "Faulty" })] })), "Synced stopped 2 0 1 0");
  assert.equal(rest(made, true).phase, "Deleting");
});

test("a summary is written only when it says something new", () => {
  const status: VolumeStatus = { mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] };
  const s = summaryOf(status, hostOf([{ a: S, b: S }]));
  const written = withSummary(status, s);
  assert.deepEqual(written, { ...status, ...s });
  assert.equal(withSummary(written, s), undefined);
  assert.deepEqual(withSummary(written, { ...s, message: "x" }), { ...written, message: "x" });
});
