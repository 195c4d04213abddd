import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MeshStorVolume, PartitionRecord, PartitionState, VolumeStatus } from "../api/volume.ts";
import { PARTITION_STATES } from "../api/volume.ts";
import type { RecordAction } from "./action.ts";
import type { RecordContext } from "./record.ts";
import { applyRecord, isOwner, mayBeWiped } from "./record.ts";
import { arrayUUID, context, driveID, exported, identity, mirror, NOW, ownerOf, part, partition, volume } from "./testing/builders.ts";

const owned = (change: VolumeStatus = {}): VolumeStatus => ({
  epoch: 3,
  owner: ownerOf("a"),
  mirrors: [mirror(["a", "b"])],
  partitions: [partition("a"), partition("b")],
  ...change,
});
const ref = (node: string) => ({ partitionUUID: part(node), mirror: 0 });
const leaving = (node: string, attach: number | null = null) => ({ ...ref(node), attach });
const earlier = "2026-11-20T09:00:00Z";

function accepted(action: RecordAction, v: MeshStorVolume, c: RecordContext): VolumeStatus {
  const result = applyRecord(action, v, c);
  assert.ok(result.ok, result.ok ? "" : result.refusal);
  return result.status;
}
function refused(action: RecordAction, status: VolumeStatus, c = context("a", 3), change: { deleted?: boolean; copies?: number } = {}): string {
  const result = applyRecord(action, volume(status, { numberOfCopies: change.copies ?? 2 }, change.deleted ? { deletionTimestamp: NOW } : {}), c);
  assert.ok(!result.ok, "accepted");
  return result.refusal;
}
const apply = (action: RecordAction, status: VolumeStatus, c = context("a", 3)): VolumeStatus => accepted(action, volume(status), c);

test("owner: this node in this boot", () => {
  assert.deepEqual([isOwner(owned(), identity("a")), isOwner(owned(), identity("a", 2)), isOwner(owned(), identity("b")), isOwner({}, identity("a"))], [true, false, false, false]);
});

test("every owner's change is refused to others, to another boot and in another epoch", () => {
  const actions: RecordAction[] = [
    { kind: "RecordMirrorCreated", mirror: 0 },
    { kind: "RecordOut", members: [leaving("b")], reason: "lost" },
    { kind: "RecordRetire", members: [leaving("b")] },
    { kind: "RecordJoining", member: ref("b"), fills: false, byBitmap: false },
    { kind: "RecordIn", members: [ref("b")] },
    { kind: "RecordDetached", partitionUUID: part("b"), attach: 1 },
    { kind: "RecordRetired", partitionUUID: part("b") },
    { kind: "RecordFilesystem" },
    { kind: "RecordFormatted" },
    { kind: "RecordRelease", clean: true },
  ];
  for (const action of actions) {
    assert.equal(refused(action, owned(), context("b", 3)), "this node, in this boot, is not the volume's owner", action.kind);
    assert.equal(refused(action, owned(), { ...context("a", 3), me: identity("a", 2) }), "this node, in this boot, is not the volume's owner", action.kind);
    assert.equal(refused(action, owned(), context("a", 2)), "the record is at epoch 3, the plan was made for 2", action.kind);
    const { owner: _owner, ...nobody } = owned();
    assert.equal(refused(action, nobody), "this node, in this boot, is not the volume's owner", action.kind);
  }
});

test("claim: the first epoch takes every created member into R, one mirror each, and names the arrays", () => {
  const partitions = [partition("a", { state: "Created" }), partition("b", { state: "Created" }), partition("c", { state: "Faulty" })];
  const status = accepted({ kind: "RecordClaim", from: null }, volume({ partitions }), context("a", 0));
  assert.deepEqual(status, {
    partitions,
    mirrors: [{ index: 0, arrayUUID: arrayUUID(), created: false, generation: 1, inSync: [part("a"), part("b")] }],
    owner: { ...ownerOf("a"), start: "First" },
    epoch: 1,
    nodeName: "a",
  });
  const striped = [partition("a", { state: "Created" }), partition("a", { state: "Created", mirror: 1 })];
  assert.deepEqual(
    accepted({ kind: "RecordClaim", from: null }, volume({ partitions: striped }, { drivesPerCopy: 2 }), context("a", 0)).mirrors?.map((m) => [m.index, m.arrayUUID, m.inSync]),
    [
      [0, arrayUUID(0), [part("a", 0)]],
      [1, arrayUUID(1), [part("a", 1)]],
    ],
  );
});

test("claim: how the epoch begins is decided by how the last one ended", () => {
  const { owner: _owner, ...free } = owned();
  const start = (status: VolumeStatus, c = context("b", 3)) => {
    const next = apply({ kind: "RecordClaim", from: null }, status, c);
    assert.deepEqual([next.epoch, next.owner?.nodeName, next.nodeName, next.lastStop], [4, c.me.nodeName, c.me.nodeName, undefined]);
    return next.owner?.start;
  };
  assert.equal(start({ ...free, lastStop: "Clean" }), "Clean");
  assert.equal(start({ ...free, lastStop: "Unclean" }), "Unclean");
  assert.equal(start(free), "Unclean", "not recorded how it ended");
  assert.equal(start(owned(), context("a", 3)), "Unclean", "owned by this node already");
  assert.equal(start(owned(), { ...context("a", 3), me: identity("a", 2) }), "Unclean", "owned by this node in an earlier boot");
  assert.equal(start({ ...free, lastStop: "Unclean", mirrors: [mirror(["a", "b"], { created: false })] }), "First", "nothing was ever made");
});

test("claim: refused while another node owns, in another epoch, of a deleted volume, without a ready member of every mirror", () => {
  const claim: RecordAction = { kind: "RecordClaim", from: null };
  const { owner: _owner, ...free } = owned();
  assert.equal(refused(claim, owned(), context("b", 3)), "node a owns the volume");
  assert.equal(refused(claim, free, context("b", 2)), "the record is at epoch 3, the plan was made for 2");
  assert.equal(refused(claim, free, context("b", 3), { deleted: true }), "the volume is being deleted");
  assert.equal(refused(claim, { partitions: [partition("a", { state: "Requested" })] }, context("a", 0)), "a mirror has no member that is ready");
});

test("requested partitions: created or faulty, by their own node, once", () => {
  const status = { partitions: [partition("a", { state: "Requested", updatedAt: earlier, progress: "45.2%", message: "zeroing" }), partition("b")] };
  const created = apply({ kind: "RecordCreated", partitionUUID: part("a") }, status);
  assert.deepEqual(created.partitions?.[0], partition("a", { state: "Created" }));
  const faulty = apply({ kind: "RecordFaulty", partitionUUID: part("a"), message: "no room" }, status);
  assert.deepEqual(faulty.partitions?.[0], partition("a", { state: "Faulty", unmade: true, message: "no room" }));
  for (const kind of ["RecordCreated", "RecordFaulty"] as const) {
    const action = (uuid: string): RecordAction => ({ kind, partitionUUID: uuid, message: "" });
    assert.equal(refused(action(part("c")), status), `partition ${part("c")} is not in the record`);
    assert.equal(refused(action(part("b")), status), `partition ${part("b")} is not on this node`);
    assert.equal(refused(action(part("b")), status, context("b", 3)), `partition ${part("b")} is in state Synced`);
  }
});

test("export: announced with the provider's boot and address; refused to owners, for another epoch, under a used number", () => {
  const action = { kind: "RecordExport" as const, partitionUUID: part("b"), epoch: 3, attach: 2 };
  const b = context("b", 3);
  assert.deepEqual(apply(action, owned(), b).partitions?.[1], partition("b", { export: exported("b", 3, 2) }));
  assert.equal(refused({ ...action, partitionUUID: part("a") }, owned(), b), `partition ${part("a")} is not on this node`);
  assert.equal(refused({ ...action, partitionUUID: part("c") }, owned(), b), `partition ${part("c")} is not on this node`);
  assert.equal(refused(action, owned({ owner: ownerOf("b") }), b), "no other node owns the volume");
  const { owner: _owner, ...free } = owned();
  assert.equal(refused(action, free, b), "no other node owns the volume");
  assert.equal(refused({ ...action, epoch: 2 }, owned(), b), "the record is at epoch 3, not 2");
  const withB = (change: Parameters<typeof partition>[1]) => owned({ partitions: [partition("a"), partition("b", change)] });
  assert.equal(refused(action, withB({ export: exported("b", 2, 2) }), b), "attach number 2 was used before (Z6)");
  assert.equal(refused(action, withB({ detachedAttach: 2 }), b), "attach number 2 was used before (Z6)");
  for (const state of ["Requested", "Replacing", "Deleting"] as const) assert.equal(refused(action, withB({ state }), b), `partition ${part("b")} is in state ${state}`);
  assert.equal(refused(action, withB({ state: "Faulty", unmade: true }), b), `partition ${part("b")} is in state Faulty`);
});

test("a member that was given up may come back until another takes its place; one that was never made cannot", () => {
  const action = { kind: "RecordExport" as const, partitionUUID: part("b"), epoch: 3, attach: 2 };
  const given = partition("b", { state: "Faulty" });
  const status = (state: PartitionState, change: Partial<PartitionRecord> = {}) =>
    owned({ partitions: [partition("a"), { ...given, ...change }, partition("c", { state, replaces: part("b") })], mirrors: [mirror(["a"])] });
  const may = (s: VolumeStatus) => applyRecord(action, volume(s), context("b", 3)).ok;
  assert.deepEqual(
    (["Requested", "Created", "Syncing", "Synced", "Missing", "Faulty", "Deleting"] as const).map((state) => [state, may(status(state))]),
    [
      ["Requested", false],
      ["Created", false],
      ["Syncing", false],
      ["Synced", false],
      ["Missing", false],
      ["Faulty", true],
      ["Deleting", true],
    ],
  );
  assert.equal(may(status("Deleting", { unmade: true })), false);
  const out = apply({ kind: "RecordOut", members: [leaving("b")], reason: "lost" }, status("Deleting"));
  assert.equal(out.partitions?.[1]?.state, "Faulty", "recorded out again it stays given up");
  const joined = apply({ kind: "RecordJoining", member: { partitionUUID: part("b"), mirror: 0 }, fills: true, byBitmap: true }, status("Deleting", { message: "no place" }));
  assert.deepEqual(joined.partitions?.[1], partition("b", { state: "Syncing", half: true }));
});

test("out: leaves R, the generation rises, the claim on the bitmap begins, the connection's number is given up", () => {
  const status = owned({ partitions: [partition("a"), partition("b", { updatedAt: earlier, detachedAttach: 1, export: exported("b", 3, 4) })] });
  const next = apply({ kind: "RecordOut", members: [leaving("b", 4)], reason: "lost" }, status);
  assert.deepEqual(next, {
    ...status,
    mirrors: [mirror(["a"], { generation: 2 })],
    partitions: [partition("a"), partition("b", { state: "Missing", outSince: 2, detachedAttach: 4, export: exported("b", 3, 4) })],
  });
});

test("out: the generation rises also for members that were not in R (Z2); their claim stays as it was", () => {
  const status = (outSince?: number) =>
    owned({ mirrors: [mirror(["a"], { generation: 5 })], partitions: [partition("a"), partition("b", { state: "Syncing", ...(outSince === undefined ? {} : { outSince }) })] });
  const out = (s: VolumeStatus) => apply({ kind: "RecordOut", members: [leaving("b")], reason: "lost" }, s);
  assert.deepEqual(out(status(3)).mirrors, [mirror(["a"], { generation: 6 })]);
  assert.deepEqual(out(status(3)).partitions?.[1], partition("b", { state: "Missing", outSince: 3, failedJoins: 1 }));
  assert.deepEqual(out(status()).partitions?.[1], partition("b", { state: "Missing", failedJoins: 1 }), "it never had one: rebuilt in full");
});

test("out: two mirrors at once, each with its own generation; R never becomes empty", () => {
  const striped = owned({
    mirrors: [mirror(["a", "b"], { generation: 4 }), mirror(["a", "b"], { index: 1, generation: 9 })],
    partitions: [0, 1].flatMap((m) => [partition("a", { mirror: m }), partition("b", { mirror: m })]),
  });
  const both = [0, 1].map((m) => ({ partitionUUID: part("b", m), mirror: m, attach: null }));
  assert.deepEqual(
    apply({ kind: "RecordOut", members: both, reason: "lost" }, striped).mirrors?.map((m) => [m.generation, m.inSync]),
    [
      [5, [part("a", 0)]],
      [10, [part("a", 1)]],
    ],
  );
  assert.equal(refused({ kind: "RecordOut", members: [leaving("a"), leaving("b")], reason: "lost" }, owned()), "mirror 0 would be left without a recorded member");
  assert.equal(refused({ kind: "RecordOut", members: [{ ...leaving("a"), mirror: 1 }], reason: "lost" }, owned()), "mirror 1 is not in the record");
});

test("out of a member that is being replaced or deleted: it stays so, and has no claim", () => {
  for (const state of ["Replacing", "Deleting"] as const) {
    const status = owned({ mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state, outSince: 1 })] });
    assert.deepEqual(apply({ kind: "RecordOut", members: [leaving("b")], reason: "lost" }, status).partitions?.[1], partition("b", { state }));
  }
});

test("joining: announced; whoever fills the last slot ends the others' claims, a full rebuild its own (I5)", () => {
  const third = partition("c", { state: "Missing", outSince: 4 });
  const status = owned({ mirrors: [mirror(["a"], { generation: 5 })], partitions: [partition("a"), partition("b", { state: "Missing", outSince: 3 }), third] });
  const joined = (fills: boolean, byBitmap: boolean) => apply({ kind: "RecordJoining", member: ref("b"), fills, byBitmap }, status).partitions?.slice(1);
  const { outSince: _gone, ...without } = third;
  assert.deepEqual(joined(false, true), [partition("b", { state: "Syncing", half: true, outSince: 3 }), third]);
  assert.deepEqual(joined(true, true), [partition("b", { state: "Syncing", half: true, outSince: 3 }), without]);
  assert.deepEqual(joined(false, false), [partition("b", { state: "Syncing", half: true }), third]);
  assert.deepEqual(joined(true, false), [partition("b", { state: "Syncing", half: true }), without]);
});

test("joining: refused for members that are leaving, were never zeroed, belong to another mirror or are in R", () => {
  const joining = (mirrorIndex = 0): RecordAction => ({ kind: "RecordJoining", member: { partitionUUID: part("b"), mirror: mirrorIndex }, fills: true, byBitmap: true });
  const status = (state: PartitionState) => owned({ mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state })] });
  for (const state of PARTITION_STATES) {
    const usable = ["Created", "Syncing", "Synced", "Spare", "Missing", "Faulty"].includes(state);
    if (usable) apply(joining(), status(state));
    else assert.equal(refused(joining(), status(state)), `partition ${part("b")} is in state ${state}`);
  }
  assert.equal(refused(joining(1), status("Missing")), `partition ${part("b")} is not in the record of mirror 1`);
  assert.equal(refused(joining(), owned()), `partition ${part("b")} is recorded in sync already`);
});

test("in: only what was announced; it enters R, the generation rises, its claim and message end", () => {
  const status = owned({
    mirrors: [mirror(["a"], { generation: 5 })],
    partitions: [partition("a"), partition("b", { state: "Syncing", outSince: 3, message: "resync", updatedAt: earlier })],
  });
  const next = apply({ kind: "RecordIn", members: [ref("b")] }, status);
  assert.deepEqual(next, { ...status, mirrors: [mirror(["a", "b"], { generation: 6 })], partitions: [partition("a"), partition("b")] });
  for (const state of PARTITION_STATES.filter((s) => s !== "Syncing")) {
    const other = owned({ mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state })] });
    assert.equal(refused({ kind: "RecordIn", members: [ref("b")] }, other), `partition ${part("b")} is in state ${state}, it has not been announced`);
  }
  assert.equal(refused({ kind: "RecordIn", members: [{ ...ref("b"), mirror: 1 }] }, status), `partition ${part("b")} is not in the record of mirror 1`);
});

test("retire: an excess copy leaves R as Replacing, never one that is wanted; then it is given up and may be wiped", () => {
  const three = owned({ mirrors: [mirror(["a", "b", "c"])], partitions: [partition("a"), partition("b", { outSince: 1 }), partition("c")] });
  const retired = apply({ kind: "RecordRetire", members: [leaving("b", 7)] }, three);
  assert.deepEqual(retired.mirrors, [mirror(["a", "c"], { generation: 2 })]);
  assert.deepEqual(retired.partitions?.[1], partition("b", { state: "Replacing", detachedAttach: 7 }));
  assert.equal(refused({ kind: "RecordRetire", members: [leaving("b")] }, owned()), "mirror 0 would be left with 1 of 2 copies");
  apply({ kind: "RecordRetire", members: [leaving("c")] }, owned({ partitions: [partition("a"), partition("b"), partition("c", { state: "Missing" })] }));
  const done = apply({ kind: "RecordRetired", partitionUUID: part("b") }, retired);
  assert.deepEqual(done.partitions?.[1], partition("b", { state: "Deleting", detached: true, detachedAttach: 7 }));
  assert.deepEqual(
    [done, retired].map((r) => r.partitions?.map(mayBeWiped)),
    [
      [false, true, false],
      [false, false, false],
    ],
  );
  assert.equal(refused({ kind: "RecordRetired", partitionUUID: part("c") }, three), `partition ${part("c")} is not being replaced`);
  const inR = owned({ partitions: [partition("a"), partition("b", { state: "Replacing" })] });
  assert.equal(refused({ kind: "RecordRetired", partitionUUID: part("b") }, inR), `partition ${part("b")} is named in R (I7)`);
});

test("detached: a number is given up and never comes back", () => {
  const status = owned({ partitions: [partition("a"), partition("b", { detachedAttach: 4 })] });
  const given = (attach: number) => apply({ kind: "RecordDetached", partitionUUID: part("b"), attach }, status).partitions?.[1]?.detachedAttach;
  assert.deepEqual([given(3), given(4), given(9)], [4, 4, 9]);
  assert.equal(refused({ kind: "RecordDetached", partitionUUID: part("c"), attach: 1 }, status), `partition ${part("c")} is not in the record`);
});

test("deleted: only from this node, only what was given up; of a deleted volume that nobody owns, anything", () => {
  const gone: RecordAction = { kind: "RecordDeleted", partitionUUID: part("b") };
  const b = context("b", 3);
  const status = owned({ mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state: "Deleting", detached: true })] });
  assert.deepEqual(apply(gone, status, b).partitions, [partition("a")]);
  assert.equal(refused(gone, status), `partition ${part("b")} is not on this node`);
  assert.equal(refused(gone, owned({ partitions: [] }), b), `partition ${part("b")} is not in the record`);
  assert.equal(refused(gone, owned(), b), `partition ${part("b")} is named in R (I7)`);
  const kept = owned({ mirrors: [mirror(["a"])], partitions: [partition("b", { state: "Deleting" })] });
  assert.equal(refused(gone, kept, b), `partition ${part("b")} is not given up (I9)`);
  const { owner: _owner, ...free } = owned();
  assert.deepEqual(accepted(gone, volume(free, {}, { deletionTimestamp: NOW }), b).partitions, [partition("a")]);
  assert.equal(refused(gone, owned(), b, { deleted: true }), `partition ${part("b")} is named in R (I7)`);
});

test("a local copy: asked for by the owner, or before the first claim in the place of another node's", () => {
  const partitions = [{ mirror: 0, drive: driveID("c"), sizeBytes: 5 }];
  const c = context("c", 3, { ids: ["new"] });
  const added = { partitionUUID: "new", nodeID: "c", drive: driveID("c"), mirror: 0, state: "Requested", sizeBytes: 5, updatedAt: NOW };
  const mine = owned({ owner: ownerOf("c") });
  assert.deepEqual(apply({ kind: "RecordRequestLocal", partitions, insteadOf: null }, mine, c).partitions, [partition("a"), partition("b"), added]);
  const fresh = { partitions: [partition("a", { state: "Created" }), partition("b", { state: "Created" })] };
  assert.deepEqual(apply({ kind: "RecordRequestLocal", partitions, insteadOf: "b" }, fresh, c).partitions, [
    partition("a", { state: "Created" }),
    partition("b", { state: "Deleting", detached: true }),
    added,
  ]);
  assert.equal(refused({ kind: "RecordRequestLocal", partitions, insteadOf: null }, owned(), c), "the volume changed hands meanwhile");
  assert.equal(refused({ kind: "RecordRequestLocal", partitions, insteadOf: "b" }, owned(), c), "the volume changed hands meanwhile");
  assert.equal(refused({ kind: "RecordRequestLocal", partitions, insteadOf: "d" }, fresh, c), "node d holds no copy that could move");
  const holds = owned({ owner: ownerOf("c"), partitions: [partition("c", { state: "Missing" })] });
  assert.equal(refused({ kind: "RecordRequestLocal", partitions, insteadOf: null }, holds, c), "this node already holds a copy");
});

test("mirror made: its recorded members become Synced", () => {
  const status = owned({
    mirrors: [mirror(["a"], { created: false })],
    partitions: [partition("a", { state: "Created", updatedAt: earlier }), partition("b", { state: "Created" })],
  });
  const next = apply({ kind: "RecordMirrorCreated", mirror: 0 }, status);
  assert.deepEqual([next.mirrors, next.partitions], [[mirror(["a"])], [partition("a"), partition("b", { state: "Created" })]]);
  assert.equal(refused({ kind: "RecordMirrorCreated", mirror: 1 }, status), "mirror 1 is not in the record");
});

test("filesystem: one UUID, one time of formatting (I6)", () => {
  const recorded = apply({ kind: "RecordFilesystem" }, owned(), context("a", 3, { ids: ["fs"] }));
  assert.deepEqual(recorded.filesystem, { uuid: "fs" });
  assert.equal(refused({ kind: "RecordFilesystem" }, recorded), "the filesystem's UUID is already recorded");
  const formatted = apply({ kind: "RecordFormatted" }, recorded);
  assert.deepEqual(formatted.filesystem, { uuid: "fs", formattedAt: NOW });
  assert.deepEqual(apply({ kind: "RecordFormatted" }, formatted, context("a", 3, { now: "later" })).filesystem, { uuid: "fs", formattedAt: NOW });
  assert.equal(refused({ kind: "RecordFormatted" }, owned()), "no filesystem UUID is recorded (I6)");
});

test("release: nobody owns; clean or not is recorded; an earlier boot's ownership is given up uncleanly only", () => {
  const { owner, ...rest } = owned();
  assert.ok(owner);
  assert.deepEqual(apply({ kind: "RecordRelease", clean: true }, { ...rest, owner, nodeName: "a", syncPercentage: "1%" }), { ...rest, lastStop: "Clean", mdState: "stopped" });
  assert.equal(apply({ kind: "RecordRelease", clean: false }, owned()).lastStop, "Unclean");
  const rebooted = { ...context("a", 3), me: identity("a", 2) };
  assert.equal(apply({ kind: "RecordRelease", clean: false }, owned(), rebooted).owner, undefined);
  assert.equal(refused({ kind: "RecordRelease", clean: true }, owned(), rebooted), "this node, in this boot, is not the volume's owner");
});

const node = fc.constantFrom("a", "b", "c");
const anyChange: fc.Arbitrary<RecordAction> = fc.oneof(
  fc.constant<RecordAction>({ kind: "RecordClaim", from: null }),
  fc.record({ kind: fc.constant("RecordOut" as const), members: fc.uniqueArray(node, { minLength: 1 }).map((l) => l.map((n) => leaving(n, 1))), reason: fc.constant("x") }),
  fc.record({ kind: fc.constant("RecordRetire" as const), members: fc.uniqueArray(node, { minLength: 1, maxLength: 2 }).map((l) => l.map((n) => leaving(n))) }),
  fc.record({ kind: fc.constant("RecordJoining" as const), member: node.map(ref), fills: fc.boolean(), byBitmap: fc.boolean() }),
  fc.record({ kind: fc.constant("RecordIn" as const), members: node.map((n) => [ref(n)]) }),
  fc.record({ kind: fc.constant("RecordRetired" as const), partitionUUID: node.map((n) => part(n)) }),
  fc.record({ kind: fc.constant("RecordDeleted" as const), partitionUUID: node.map((n) => part(n)) }),
  fc.record({ kind: fc.constant("RecordExport" as const), partitionUUID: node.map((n) => part(n)), epoch: fc.integer({ min: 1, max: 6 }), attach: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant("RecordRelease" as const), clean: fc.boolean() }),
);

function checkMirrors(before: VolumeStatus, after: VolumeStatus): void {
  after.mirrors!.forEach((m, i) => {
    const old = before.mirrors![i]!;
    assert.ok(m.inSync.length > 0, "R is empty");
    assert.ok(m.generation > old.generation || (m.generation === old.generation && m.inSync.join() === old.inSync.join()), "R changed, its generation did not rise");
    for (const uuid of m.inSync)
      assert.ok(
        after.partitions!.some((p) => p.partitionUUID === uuid && !mayBeWiped(p)),
        "R names a member that is gone or may be wiped",
      );
  });
}

function checkPartitions(before: VolumeStatus, after: VolumeStatus): void {
  for (const p of after.partitions!) {
    const old = before.partitions!.find((x) => x.partitionUUID === p.partitionUUID)!;
    assert.ok((p.export?.attach ?? 0) >= (old.export?.attach ?? 0) && (p.detachedAttach ?? 0) >= (old.detachedAttach ?? 0), "an attach number went back");
    assert.ok(!(mayBeWiped(old) && !mayBeWiped(p)), "what may be wiped came back");
  }
}

test("property: no sequence of changes empties R, lowers a generation, an epoch or an attach number, or takes a member into R that may be wiped", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyChange, node), { maxLength: 40 }), (steps) => {
      let status: VolumeStatus = { epoch: 0, mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b"), partition("c", { state: "Created" })] };
      for (const [next, who] of steps) {
        const result = applyRecord(next, volume(status), context(who, status.epoch ?? 0));
        if (!result.ok) continue;
        checkMirrors(status, result.status);
        checkPartitions(status, result.status);
        assert.ok(next.kind === "RecordClaim" ? result.status.epoch === status.epoch! + 1 : result.status.epoch === status.epoch, "only a claim raises the epoch, by one");
        status = result.status;
      }
    }),
  );
});
