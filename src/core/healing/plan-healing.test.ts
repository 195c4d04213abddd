import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MeshStorVolume, PartitionRecord, VolumeSpec, VolumeStatus } from "../../api/volume.ts";
import { PARTITION_STATES } from "../../api/volume.ts";
import { GiB } from "../../base/units.ts";
import type { CandidateDrive, CandidateNode, Cluster } from "../placement/types.ts";
import { partitionSize } from "../sizes.ts";
import { driveID, mirror, NOW, ownerOf, part, partition, volume } from "../testing/builders.ts";
import { checkMembersOnly } from "../testing/controller.ts";
import { rebuildsOf } from "./guards.ts";
import type { HealingInput } from "./input.ts";
import { healingLimitsOf } from "./limits.ts";
import { planHealing } from "./plan-healing.ts";
import { afterSight } from "./sight.ts";

const START = Date.parse(NOW);
const ids = ["11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"];
const later = (seconds: number) => new Date(START + seconds * 1000).toISOString();

function drive(node: string, index: number, change: Partial<CandidateDrive["status"]> = {}): CandidateDrive {
  const status = {
    ...{ nodeName: node, drive: driveID(node, index), device: "", model: "", serial: "", sizeBytes: 10 * GiB, freeBytes: 5 * GiB, biggestHoleBytes: 5 * GiB },
    ...{ sectorSize: 512, holes: [{ startBytes: 0, sizeBytes: 5 * GiB }], freePartitionEntries: 100, localPartitions: 0, remotePartitions: 0, unknownPartitions: 0 },
    ...{ writeZeroes: true, health: "Usable" },
  };
  return { use: "Auto", status: { ...status, ...change } };
}
function cluster(names: string, change: Record<string, Partial<CandidateNode>> = {}, gone: string[] = []): Cluster {
  const nodes = names.split("").map((name) => ({ name, ready: true, cordoned: false, topology: {}, ...change[name] }));
  const drives = nodes.flatMap((n) => [0, 1].map((i) => drive(n.name, i)));
  return {
    nodes,
    drives: drives.map((d) => (gone.includes(d.status.drive) ? drive(d.status.nodeName, Number(d.status.drive.at(-3)), { health: "Gone", holes: [] }) : d)),
    reservations: [],
  };
}
const away = { ready: false };
const used = (partitions: PartitionRecord[], inSync: string[] = ["a"], change: VolumeStatus = {}): VolumeStatus => ({
  epoch: 1,
  owner: ownerOf("a"),
  mirrors: [mirror(inSync)],
  partitions,
  ...change,
});

interface Story {
  volume: MeshStorVolume;
  cluster: Cluster;
  /** Seconds that the controller has seen it like this, and by which the wall clock has gone on. */
  seen?: number;
  wall?: number;
  change?: Partial<HealingInput>;
}

function input({ volume: v, cluster: c, seen = 0, wall = seen, change = {} }: Story): HealingInput {
  const sights = afterSight(afterSight({}, v, c, 0), v, c, seen * 1000);
  const nodeNames = new Set(c.nodes.map((n) => n.name));
  const times = { nowMs: seen * 1000, wallMs: START + wall * 1000, now: later(wall) };
  return { volume: v, cluster: c, nodeNames, rebuilds: rebuildsOf([v]), sights, ...times, stale: false, limits: healingLimitsOf(), ids, ...change };
}
/** The status that is written; the one before if none is. */
function healed(story: Story): VolumeStatus {
  const healing = planHealing(input(story));
  return healing.kind === "none" ? story.volume.status! : healing.status;
}
/** `node/drive/mirror/state`, and whose place it takes. */
const places = (s: VolumeStatus) =>
  s.partitions!.map((p) => `${p.nodeID}${p.drive.at(-3)}/m${p.mirror}/${p.state}${p.replaces === undefined ? "" : ` for ${p.replaces[0]}${p.replaces.at(-1)}`}`);
const missing = (change: Partial<VolumeSpec> = {}) => volume(used([partition("a"), partition("b", { state: "Missing" })]), change);
const faulty = (change: Partial<PartitionRecord> = {}, spec: Partial<VolumeSpec> = {}) => volume(used([partition("a"), partition("b", { state: "Faulty", ...change })]), spec);

test("a member that is missing beyond its time-out is given up and replaced in one step, on another node", () => {
  const c = cluster("abc", { b: away });
  assert.deepEqual(places(healed({ volume: missing(), cluster: c, seen: 899 })), ["a0/m0/Synced", "b0/m0/Missing"]);
  const status = healed({ volume: missing(), cluster: c, seen: 900 });
  const placed = { partitionUUID: ids[0]!, nodeID: "c", drive: status.partitions![2]!.drive, mirror: 0, state: "Requested" as const };
  assert.deepEqual(
    status,
    used([
      partition("a"),
      partition("b", { state: "Faulty", updatedAt: later(900) }),
      { ...placed, sizeBytes: partitionSize(missing().spec), updatedAt: later(900), replaces: part("b") },
    ]),
  );
});

test("neither clock alone gives a member up: the controller itself has seen it missing for a minute, and the record says so for the whole time-out", () => {
  const c = cluster("abc", { b: away });
  const states = (seen: number, wall: number) => healed({ volume: missing(), cluster: c, seen, wall }).partitions!.map((p) => p.state);
  assert.deepEqual(states(59, 1_000_000), ["Synced", "Missing"]);
  assert.deepEqual(states(1_000_000, 899), ["Synced", "Missing"]);
  assert.deepEqual(states(60, 1_000_000), ["Synced", "Faulty", "Requested"]);
});

test("nobody is given up without somebody who can rebuild, by a stale view, or while it is in R", () => {
  const c = cluster("abc", { b: away });
  const none = (story: Story) => assert.deepEqual(planHealing(input({ seen: 2_000, ...story })), { kind: "none" });
  const { owner: _owner, ...rest } = missing().status!;
  none({ volume: volume(rest), cluster: c });
  none({ volume: missing(), cluster: cluster("abc", { a: away, b: away }) });
  none({ volume: missing(), cluster: c, change: { stale: true } });
  none({ volume: volume(used([partition("a"), partition("b", { state: "Missing" })], ["a", "b"])), cluster: c });
  none({ volume: volume(missing().status!, {}, { deletionTimestamp: NOW }), cluster: c });
});

test("a guard keeps a member and says so: maintenance of its node, too many nodes away", () => {
  const said = (c: Cluster) => healed({ volume: missing(), cluster: c, seen: 1_000 }).partitions!.map((p) => [p.state, p.message]);
  assert.deepEqual(said(cluster("abc", { b: { ...away, maintenanceUntilMs: START + 3_600_000 } })), [
    ["Synced", undefined],
    ["Missing", "not replaced: node b is in maintenance until 2026-11-20T11:00:00.000Z"],
  ]);
  assert.deepEqual(said(cluster("abc", { b: away, c: away })), [
    ["Synced", undefined],
    ["Missing", "not replaced: 2 of 3 nodes are away (b, c), more than 34 %"],
  ]);
  assert.deepEqual(
    said(cluster("abc", { b: { ...away, maintenanceUntilMs: START } })).map(([state]) => state),
    ["Synced", "Faulty", "Requested"],
    "the maintenance is over",
  );
});

test("no place: the sentence stands with the member and with the volume, and goes when there is one", () => {
  const sentence =
    "No replacement node available: 1 node with a drive with 1032 MiB free in one piece needed, 0 found: node a holds a copy of this volume; node b holds a copy of this volume";
  const status = healed({ volume: faulty(), cluster: { ...cluster("ab", { b: away }), nodes: cluster("ab").nodes }, seen: 100, change: { sights: {} } });
  assert.deepEqual([status.placementMessage, status.partitions![1]!.message], [sentence, sentence]);
  assert.deepEqual(planHealing(input({ volume: volume(status), cluster: cluster("ab"), change: { sights: {} } })), { kind: "none" }, "said once");
  const placed = healed({ volume: volume(status), cluster: cluster("abc", { b: away }) });
  assert.deepEqual(
    [places(placed), placed.placementMessage, placed.partitions![1]!.message],
    [["a0/m0/Synced", "b0/m0/Faulty", placed.partitions![2]!.drive === driveID("c", 0) ? "c0/m0/Requested for b0" : "c1/m0/Requested for b0"], undefined, undefined],
  );
});

test("only its drive failed: another drive of the same node; never one that has or had a member of this volume", () => {
  const c = cluster("ab", {}, [driveID("b", 0)]);
  assert.deepEqual(places(healed({ volume: faulty(), cluster: c })), ["a0/m0/Synced", "b0/m0/Faulty", "b1/m0/Requested for b0"]);
  const before = used([
    partition("a"),
    partition("b", { state: "Faulty" }),
    partition("b", { partitionUUID: part("d"), drive: driveID("b", 1), state: "Deleting", detached: true }),
  ]);
  assert.deepEqual(places(healed({ volume: volume(before), cluster: c })), places(before), "the other one is not wiped yet");
  assert.match(healed({ volume: volume(before), cluster: c }).placementMessage!, /^No replacement node available: /);
});

test("given up, but back with its drive: it has a minute to join; a node that the owner cannot reach is then replaced elsewhere", () => {
  const c = cluster("abc");
  assert.deepEqual(places(healed({ volume: faulty(), cluster: c, seen: 59 })), ["a0/m0/Synced", "b0/m0/Faulty"]);
  const status = healed({ volume: faulty(), cluster: c, seen: 60 });
  assert.deepEqual([status.partitions![2]!.nodeID, status.partitions![2]!.replaces], ["c", part("b")]);
  const bad = healed({ volume: faulty({ failedJoins: 3 }), cluster: c, seen: 1 });
  assert.deepEqual(places(bad)[2], "b1/m0/Requested for b0", "a drive that was lost in each rebuild is not waited for");
});

test("a rebuild that is lost again and again is given up without the time-out", () => {
  const v = (failedJoins: number) => volume(used([partition("a"), partition("b", { state: "Missing", failedJoins })]));
  const c = cluster("abc");
  assert.deepEqual(
    [healed({ volume: v(2), cluster: c }), healed({ volume: v(3), cluster: c })].map((s) => s.partitions![1]!.state),
    ["Missing", "Faulty"],
  );
});

test("a replacement that fails is replaced itself; what could not be made is given up after a minute, and its drive is left out until then", () => {
  const v = volume(used([partition("a"), partition("b", { state: "Faulty" }), partition("c", { state: "Faulty", unmade: true, replaces: part("b"), message: "no hole" })]));
  const c = cluster("abcd", { b: away });
  const first = healed({ volume: v, cluster: c, seen: 10 });
  assert.deepEqual(places(first), ["a0/m0/Synced", "b0/m0/Faulty", "c0/m0/Faulty for b0", "c1/m0/Requested for b0"]);
  assert.deepEqual(
    healed({ volume: v, cluster: c, seen: 60 })
      .partitions!.slice(2)
      .map((p) => [p.nodeID, p.state, p.detached]),
    [
      ["c", "Deleting", true],
      ["d", "Requested", undefined],
    ],
  );
  const lost = volume(used([partition("a"), partition("b", { state: "Faulty" }), partition("c", { state: "Requested", replaces: part("b") })]));
  const other = healed({ volume: lost, cluster: cluster("abcd", { c: away, b: {} }), seen: 60 });
  assert.deepEqual(
    other.partitions!.slice(2).map((p) => [p.nodeID, p.state, p.detached, p.replaces]),
    [
      ["c", "Deleting", true, part("b")],
      ["d", "Requested", undefined, part("b")],
    ],
  );
});

test("scaling up: one copy at a time, on nodes without one, and without anybody's place", () => {
  const v = volume(used([partition("a")]), { numberOfCopies: 3 });
  const one = healed({ volume: v, cluster: cluster("abc") });
  assert.deepEqual([one.partitions!.length, one.partitions![1]!.state, one.partitions![1]!.replaces], [2, "Requested", undefined]);
  const two = healed({ volume: { ...v, status: one }, cluster: cluster("abc") });
  assert.deepEqual(two.partitions!.map((p) => p.nodeID).sort(), ["a", "b", "c"]);
  const none = healed({ volume: volume(two, { numberOfCopies: 4 }), cluster: cluster("abc"), change: { rebuilds: new Map() } });
  assert.match(none.placementMessage!, /^No replacement node available: /);
  const busy = healed({ volume: v, cluster: cluster("abc"), change: { rebuilds: new Map([["a", 2]]) } });
  assert.deepEqual([busy.partitions!.length, busy.placementMessage], [1, "no copy is placed now: node a, which runs the volume, rebuilds 2 copies already"]);
  const target = healed({ volume: v, cluster: cluster("abc"), change: { rebuilds: new Map([["b", 2]]) } });
  assert.deepEqual(target.partitions![1]!.nodeID, "c");
});

test("moving: nodes that are avoided or emptied are told to the volume; their copy stays in use until another has its place", () => {
  const status = used([partition("a"), partition("b")], ["a", "b"]);
  const c = cluster("abcd", { d: { leaving: true } });
  const moved = healed({ volume: volume(status, { avoidNodes: ["b"] }), cluster: c });
  assert.deepEqual(
    [moved.leavingNodes, moved.partitions!.map((p) => [p.nodeID, p.state, p.replaces])],
    [
      ["b", "d"],
      [
        ["a", "Synced", undefined],
        ["b", "Synced", undefined],
        ["c", "Requested", part("b")],
      ],
    ],
  );
  assert.deepEqual(planHealing(input({ volume: volume(moved, { avoidNodes: ["b"] }), cluster: c })), { kind: "none" });
  const idle = healed({ volume: volume({ partitions: [] }, { avoidNodes: ["b"] }), cluster: cluster("abc") });
  assert.deepEqual(idle, { partitions: [], leavingNodes: ["b"] });
  assert.deepEqual(healed({ volume: volume(idle), cluster: cluster("abc") }), { partitions: [] });
});

test("striped: one member on another drive of its node; where there is none, the whole copy on another node, one partition per mirror", () => {
  const copy = (node: string, change: Partial<PartitionRecord> = {}) => [partition(node, change), partition(node, { mirror: 1 })];
  const status = { ...used([...copy("a"), ...copy("b", { state: "Faulty" })]), mirrors: [mirror(["a"]), mirror(["a", "b"], { index: 1 })] };
  const v = volume(status, { drivesPerCopy: 2 });
  const c = cluster("abc", {}, [driveID("b", 0)]);
  const third = { ...c, drives: [...c.drives, drive("b", 2)] };
  assert.deepEqual(places(healed({ volume: v, cluster: third })).slice(4), ["b2/m0/Requested for b0"]);
  const elsewhere = healed({ volume: v, cluster: c }).partitions!.slice(4);
  assert.deepEqual(
    elsewhere.map((p) => [p.nodeID, p.mirror, p.replaces]),
    [
      ["c", 0, part("b")],
      ["c", 1, part("b", 1)],
    ],
  );
  assert.equal(new Set(elsewhere.map((p) => p.drive)).size, 2);
});

test("a node that is gone for good: entries that only it could wipe are disowned; a drive that is away is waited for", () => {
  const deleting = partition("b", { state: "Deleting", detached: true });
  const status = used([partition("a"), partition("c"), deleting], ["a", "c"]);
  assert.deepEqual(planHealing(input({ volume: volume(status), cluster: cluster("abc", { b: away }) })), { kind: "none" });
  assert.deepEqual(healed({ volume: volume(status), cluster: cluster("ac") }).partitions, [partition("a"), partition("c")]);
  assert.deepEqual(planHealing(input({ volume: volume(status), cluster: cluster("ac"), change: { nodeNames: null } })), { kind: "none" });
  const { owner: _owner, ...idle } = used([partition("a"), partition("b")], ["a", "b"]);
  const deleted = volume(idle, {}, { deletionTimestamp: NOW });
  assert.deepEqual(healed({ volume: deleted, cluster: cluster("ac") }).partitions, [partition("a")], "a deleted volume waits for nodes that exist only");
  const former = [{ nodeName: "c", nodeUID: "u", bootID: "x", epoch: 1, judged: "Silent" as const, waitMs: 1, at: NOW }];
  assert.deepEqual(planHealing(input({ volume: { ...deleted, status: { ...idle, former } }, cluster: cluster("ac") })), { kind: "none" });
});

test("whatever the record, the controller leaves R, owner and epoch alone, never gives up a member of R, and comes to rest", () => {
  const entry = fc.record({
    node: fc.constantFrom("a", "b", "c", "d"),
    drive: fc.constantFrom(0, 1),
    state: fc.constantFrom(...PARTITION_STATES),
    unmade: fc.boolean(),
    failedJoins: fc.constantFrom(0, 3),
  });
  const story = fc.record({
    entries: fc.array(entry, { maxLength: 6 }),
    copies: fc.integer({ min: 1, max: 3 }),
    avoid: fc.subarray(["a", "b", "c", "d"]),
    ready: fc.subarray(["b", "c", "d"]),
    gone: fc.subarray(["b", "c"].map((n) => driveID(n, 0))),
    seen: fc.constantFrom(0, 61, 2_000),
  });
  fc.assert(
    fc.property(story, ({ entries, copies, avoid, ready, gone, seen }) => {
      const uuids = entries.map((_, i) => `${i}0000000-0000-4000-8000-000000000000`);
      const partitions = entries.map((e, i) =>
        partition(e.node, {
          partitionUUID: uuids[i]!,
          drive: driveID(e.node, e.drive),
          state: e.state,
          failedJoins: e.failedJoins,
          ...(e.unmade && e.state === "Faulty" && { unmade: true }),
        }),
      );
      const inSync = partitions.filter((p) => p.state === "Synced").map((p) => p.partitionUUID);
      const status: VolumeStatus = {
        ...used([partition("a", { partitionUUID: part("a"), drive: driveID("a", 1) }), ...partitions]),
        mirrors: [{ ...mirror(["a"]), inSync: [part("a"), ...inSync] }],
      };
      const c = cluster("abcd", Object.fromEntries(["b", "c", "d"].map((n) => [n, { ready: ready.includes(n) }])), gone);
      let now = volume(status, { numberOfCopies: copies, avoidNodes: avoid });
      let next = 0;
      for (let i = 0; i < 12; i += 1) {
        const fresh = [0, 1].map(() => `${String((next += 1)).padStart(8, "0")}-1111-4000-8000-000000000000`);
        const healing = planHealing(input({ volume: now, cluster: c, seen, change: { ids: fresh } }));
        if (healing.kind === "none") return;
        checkMembersOnly(now.status!, healing.status);
        for (const uuid of now.status!.mirrors![0]!.inSync) assert.deepEqual(healing.status.partitions!.find((p) => p.partitionUUID === uuid)?.state, "Synced");
        const targets = healing.status.partitions!.filter((p) => p.state === "Requested" && fresh.includes(p.partitionUUID));
        for (const p of targets) {
          assert.ok(!avoid.includes(p.nodeID) && !gone.includes(p.drive));
          assert.ok(!now.status!.partitions!.some((old) => old.nodeID === p.nodeID && old.drive === p.drive), "not on a drive that has or had a member");
        }
        now = { ...now, status: healing.status };
      }
      assert.fail("it never comes to rest");
    }),
    { numRuns: 300 },
  );
});
