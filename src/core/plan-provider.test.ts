import assert from "node:assert/strict";
import { test } from "node:test";
import { exportNQN, hostNQN } from "../api/names.ts";
import type { PartitionRecord, VolumeStatus } from "../api/volume.ts";
import { MiB } from "../base/units.ts";
import type { Action } from "./action.ts";
import type { DriveTable, Export, HostSnapshot } from "./observed.ts";
import { plan } from "./plan.ts";
import type { PlanInput } from "./plan-types.ts";
import { EMPTY_SESSION } from "./session.ts";
import { driveID, emptyHost, exported, mirror, nodeUID, ownerOf, part, partition, planInput, volume, VOLUME_UID } from "./testing/builders.ts";

const DEVICE = "nvme0n1p1";
const name = (epoch: number, attach: number) => exportNQN({ partitionUUID: part("b"), epoch, attach });
const why = (text: string) => text.replace("B", part("b"));

/** b's host with its partition, exports of it, and nothing else. */
function hostOfB(exports: Partial<Export>[] = [], holders: string[] = [], boot = 1): HostSnapshot {
  const size = 1024 * MiB;
  const drive = { id: driveID("b"), device: "nvme0n1", model: "", serial: "", sizeBytes: 4 * size, sectorSize: 512, readOnly: false, writeZeroes: true };
  const all = exports.map((e) => ({
    nqn: name(2, 1),
    partitionUUID: part("b"),
    epoch: 2,
    attach: 1,
    devicePath: `/dev/${DEVICE}`,
    enabled: true,
    allowedHosts: [hostNQN(nodeUID("a"))],
    ports: ["1"],
    ...e,
  }));
  return {
    ...emptyHost("b", boot),
    drives: [drive],
    partitions: [{ uuid: part("b"), drive: driveID("b"), device: DEVICE, number: 1, startBytes: MiB, sizeBytes: size, holders }],
    exports: all,
  };
}
function tableOfB(entries: DriveTable["entries"] = []): Map<string, DriveTable> {
  const table = { drive: driveID("b"), label: "gpt" as const, firstUsableByte: MiB, lastUsableByte: 4096 * MiB - 1, entries, maxEntries: 128, signature: null, usedBy: null };
  return new Map([[driveID("b"), table]]);
}
/** a owns epoch 2; b holds one of two copies. */
function owned(b: Partial<PartitionRecord> = {}, status: VolumeStatus = {}): VolumeStatus {
  return { epoch: 2, owner: ownerOf("a"), mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b", b)], ...status };
}
function next(status: VolumeStatus, host: HostSnapshot, change: Partial<PlanInput> & { deleted?: boolean; boot?: number } = {}): { actions: Action[]; waits: string[] } {
  const { deleted, boot, ...rest } = change;
  const metadata = deleted ? { deletionTimestamp: "2026-11-20T11:00:00Z" } : {};
  const me = { ...planInput("b", volume({}), host).me, bootID: `boot-b-${boot ?? 1}` };
  const { actions, waits } = plan(planInput("b", volume(status, {}, metadata), host, { me, tables: tableOfB(), ...rest }));
  return { actions, waits };
}

test("another node owns the volume: announced under the next number, then made for its host alone", () => {
  const first = next(owned(), hostOfB());
  assert.deepEqual(first.actions, [{ kind: "RecordExport", partitionUUID: part("b"), epoch: 2, attach: 1, why: why("owner a needs a connection to B") }]);
  const announced = { ...EMPTY_SESSION, announced: [name(2, 1)] };
  assert.deepEqual(next(owned({ export: exported("b", 2, 1) }), hostOfB(), { session: announced }).actions, [
    {
      kind: "CreateExport",
      nqn: name(2, 1),
      partitionUUID: part("b"),
      device: DEVICE,
      hostNQN: hostNQN(nodeUID("a")),
      address: "10.0.0.2",
      port: 4420,
      why: "the export was announced in the record",
    },
  ]);
  assert.deepEqual(next(owned({ export: exported("b", 2, 1) }), hostOfB([{}]), { session: announced }), { actions: [], waits: [] });
});

test("an export is left alone by another process, and completed only by the one that announced it (Z6)", () => {
  const record = owned({ export: exported("b", 2, 1) });
  assert.deepEqual(next(record, hostOfB([{}])).actions, [], "whole: kept over a restart of the agent");
  const half = next(record, hostOfB([{ enabled: false, ports: [] }]));
  assert.deepEqual(
    half.actions.map((a) => a.kind),
    ["CutExport"],
  );
  assert.deepEqual(
    next(record, hostOfB()).actions.map((a) => (a.kind === "RecordExport" ? a.attach : a.kind)),
    [2],
    "gone: never under the same number again",
  );
  const announced = { ...EMPTY_SESSION, announced: [name(2, 1)] };
  assert.deepEqual(
    next(record, hostOfB([{ enabled: false, ports: [] }]), { session: announced }).actions.map((a) => a.kind),
    ["CreateExport"],
  );
});

test("an export on a device that went away is withdrawn, whoever announced it", () => {
  const dead = { devicePath: "/dev/nvme7n1p1" };
  const why7 = `export ${name(2, 1)} holds /dev/nvme7n1p1, the partition is ${DEVICE} now`;
  assert.deepEqual(next(owned({ export: exported("b", 2, 1) }), hostOfB([dead])).actions, [{ kind: "CutExport", nqn: name(2, 1), why: why7 }]);
});

test("provider reboot: the export announced in the earlier boot is not remade; a new number is announced", () => {
  const record = owned({ export: exported("b", 2, 4) });
  assert.deepEqual(
    next(record, hostOfB([], [], 2), { boot: 2 }).actions.map((a) => (a.kind === "RecordExport" ? a.attach : a.kind)),
    [5],
  );
});

test("withdrawn first, then the next: another epoch, a number given up, nobody owns, this node owns, the member is deleted", () => {
  const cut = (status: VolumeStatus, e: Partial<Export> = {}) => next(status, hostOfB([e])).actions;
  const stale = (nqn: string): Action[] => [{ kind: "CutExport", nqn, why: `export ${nqn} is no longer wanted by the record` }];
  const older = { nqn: name(1, 1), epoch: 1 };
  assert.deepEqual(cut(owned({ export: exported("b", 1, 1) }), older), stale(name(1, 1)));
  assert.deepEqual(cut(owned({ export: exported("b", 2, 1), detachedAttach: 1 })), stale(name(2, 1)));
  const { owner: _owner, ...nobody } = owned({ export: exported("b", 2, 1) });
  assert.deepEqual(cut(nobody), stale(name(2, 1)));
  assert.deepEqual(cut({ ...owned({ export: exported("b", 2, 1) }), owner: ownerOf("b") })[0], stale(name(2, 1))[0]);
  assert.deepEqual(cut(owned({ export: exported("b", 2, 1), state: "Deleting", detached: true }, { mirrors: [mirror(["a"])] })), stale(name(2, 1)));
  assert.deepEqual(
    next(owned({ export: exported("b", 2, 1), detachedAttach: 1 }), hostOfB()).actions.map((a) => (a.kind === "RecordExport" ? a.attach : a.kind)),
    [2],
  );
});

test("not offered: a partition in use here, one that a job works on, one that is leaving, one that is not there", () => {
  assert.deepEqual(next(owned(), hostOfB([], ["dm-3"])), { actions: [], waits: [why("partition B is still in use on node b")] });
  assert.deepEqual(next(owned(), hostOfB(), { session: { ...EMPTY_SESSION, jobs: [`ZeroPartition:${part("b")}`] } }), { actions: [], waits: [why("node b zeroes partition B")] });
  for (const change of [{ state: "Replacing" }, { state: "Faulty", unmade: true }] as const)
    assert.deepEqual(next(owned(change, { mirrors: [mirror(["a"])] }), hostOfB()), { actions: [], waits: [] });
  assert.deepEqual(next(owned(), { ...hostOfB(), partitions: [] }).waits, [why("node b does not see partition B (drive SERIALb0:1)")]);
  const { owner: _owner, ...nobody } = owned();
  assert.deepEqual(next(nobody, hostOfB()), { actions: [], waits: [] });
});

test("a requested partition: made in the best hole, zeroed as a job, recorded only by the process that saw the zeroes", () => {
  const requested = { partitions: [partition("b", { state: "Requested", sizeBytes: 100 * MiB })] };
  const none = { ...hostOfB(), partitions: [] };
  assert.deepEqual(next(requested, none).actions, [
    {
      kind: "CreatePartition",
      partitionUUID: part("b"),
      drive: driveID("b"),
      startBytes: MiB,
      sizeBytes: 100 * MiB,
      label: `meshstor-${VOLUME_UID.slice(0, 18)}-m0`,
      why: "the record requests a partition on drive SERIALb0:1",
    },
  ]);
  const kinds = (session: Partial<typeof EMPTY_SESSION>) => next(requested, hostOfB(), { session: { ...EMPTY_SESSION, ...session } });
  assert.deepEqual(
    kinds({}).actions.map((a) => a.kind),
    ["ZeroPartition"],
  );
  assert.deepEqual(kinds({ jobs: [`ZeroPartition:${part("b")}`] }), { actions: [], waits: [why("node b zeroes partition B")] });
  assert.deepEqual(kinds({ zeroed: [part("b")] }).actions, [{ kind: "RecordCreated", partitionUUID: part("b"), why: why("partition B reads as zeroes") }]);
});

test("a requested partition on a missing drive or without room is recorded Faulty; an unread table is waited for", () => {
  const requested = { partitions: [partition("b", { state: "Requested", sizeBytes: 100 * MiB })] };
  const faulty = (message: string, reason: string): Action[] => [{ kind: "RecordFaulty", partitionUUID: part("b"), message, why: reason }];
  assert.deepEqual(next(requested, emptyHost("b"), { tables: new Map() }).actions, faulty("drive SERIALb0:1 is not on node b", "the drive is gone"));
  assert.deepEqual(next(requested, { ...hostOfB(), partitions: [] }, { tables: new Map() }).waits, ["node b reads the partition table of drive SERIALb0:1"]);
  const full = [{ number: 1, startBytes: MiB, sizeBytes: 4000 * MiB, uuid: "x", type: "", name: "" }];
  assert.deepEqual(
    next(requested, { ...hostOfB(), partitions: [] }, { tables: tableOfB(full) }).actions,
    faulty("drive SERIALb0:1 has no hole of 104857600 bytes", "the space is gone"),
  );
});

test("wiped, deleted, taken out of the record: only when given up, and each step by what this process saw", () => {
  const leaving = owned({ state: "Deleting", detached: true }, { mirrors: [mirror(["a"])] });
  const wiped = { ...EMPTY_SESSION, wiped: [part("b")] };
  assert.deepEqual(next(leaving, hostOfB()).actions, [
    { kind: "WipePartition", partitionUUID: part("b"), device: DEVICE, why: "deleted data is zeroed before the space is free again (I7)" },
  ]);
  assert.deepEqual(next(leaving, hostOfB(), { session: { ...EMPTY_SESSION, jobs: [`WipePartition:${part("b")}`] } }).waits, [why("node b wipes partition B")]);
  assert.deepEqual(next(leaving, hostOfB([], ["dm-3"])).waits, [why("partition B is still in use on node b")]);
  assert.deepEqual(next(leaving, hostOfB(), { session: wiped }).actions, [
    { kind: "DeletePartition", partitionUUID: part("b"), drive: driveID("b"), number: 1, device: DEVICE, why: "nothing of its data is left" },
  ]);
  const gone = { ...hostOfB(), partitions: [] };
  assert.deepEqual(next(leaving, gone).actions, [{ kind: "RecordDeleted", partitionUUID: part("b"), why: why("partition B is gone from drive SERIALb0:1") }]);
  const entry = [{ number: 1, startBytes: MiB, sizeBytes: MiB, uuid: part("b").toUpperCase(), type: "", name: "" }];
  assert.deepEqual(next(leaving, gone, { tables: tableOfB(entry) }).waits, [why("the kernel of node b does not show partition B yet")]);
  assert.deepEqual(next(leaving, gone, { tables: new Map() }).waits, ["drive SERIALb0:1 is not readable on node b; its partition is wiped when it is back"]);
});

test("a deleted volume is wiped once nobody owns it, whatever state its members are in; a requested one needs no wiping", () => {
  const { owner: _owner, ...nobody } = owned();
  assert.deepEqual(
    next(nobody, hostOfB(), { deleted: true }).actions.map((a) => a.kind),
    ["WipePartition"],
  );
  assert.deepEqual(
    next(owned(), hostOfB([{}]), { deleted: true })
      .actions.map((a) => a.kind)
      .includes("WipePartition"),
    false,
  );
  assert.deepEqual(
    next({ partitions: [partition("b", { state: "Requested" })] }, hostOfB(), { deleted: true }).actions.map((a) => a.kind),
    ["DeletePartition"],
  );
});

test("only its own partitions concern a node", () => {
  assert.deepEqual(next({ partitions: [partition("a", { state: "Requested" })] }, emptyHost("b")), { actions: [], waits: [] });
});
