import assert from "node:assert/strict";
import { test } from "node:test";
import type { PartitionRecord } from "../api/volume.ts";
import { PARTITION_OVERHEAD } from "../base/layout.ts";
import { GiB, MiB } from "../base/units.ts";
import { localCopy } from "./local-copy.ts";
import type { Drive, DriveTable } from "./observed.ts";
import { emptyHost, partition, planInput, volume } from "./testing/builders.ts";
import { viewVolume } from "./view.ts";

const SIZE = GiB + PARTITION_OVERHEAD;

/** c's drives, each with one hole of so many bytes. */
function ask(partitions: PartitionRecord[], holes: Record<string, number>, change: { provisional?: boolean; spec?: object; drive?: Partial<Drive> } = {}): unknown {
  const drives = Object.keys(holes).map((id) => ({
    id,
    device: id,
    model: "",
    serial: id,
    sizeBytes: 9 * GiB,
    sectorSize: 512,
    readOnly: false,
    writeZeroes: true,
    ...change.drive,
  }));
  const tables = new Map(
    Object.entries(holes).map(([drive, size]): [string, DriveTable] => [
      drive,
      { drive, label: "gpt", firstUsableByte: MiB, lastUsableByte: MiB + size - 1, entries: [], maxEntries: 128, signature: null, usedBy: null },
    ]),
  );
  const v = volume({ partitions }, change.spec);
  const input = planInput("c", v, { ...emptyHost("c"), drives }, { tables });
  const action = localCopy(viewVolume(v, input.host, input.me), input, change.provisional ?? false);
  return action && action.kind === "RecordRequestLocal" ? [action.partitions, action.insteadOf] : action;
}
const held = [partition("a", { state: "Created" }), partition("b", { state: "Created" })];

test("on the drive with most free space; before the first use in the place of the last node's copy", () => {
  assert.deepEqual(ask(held, { d1: 2 * GiB, d2: 3 * GiB }), [[{ mirror: 0, drive: "d2", sizeBytes: SIZE }], null]);
  assert.deepEqual(ask(held, { d1: 2 * GiB }, { provisional: true }), [[{ mirror: 0, drive: "d1", sizeBytes: SIZE }], "b"]);
});

test("striped: one drive for each mirror, never one for two", () => {
  const half = GiB / 2 + PARTITION_OVERHEAD;
  assert.deepEqual(ask(held, { d1: 2 * GiB, d2: 2 * GiB, d3: GiB }, { spec: { drivesPerCopy: 2 } }), [
    [
      { mirror: 0, drive: "d1", sizeBytes: half },
      { mirror: 1, drive: "d2", sizeBytes: half },
    ],
    null,
  ]);
  assert.equal(ask(held, { d1: 8 * GiB }, { spec: { drivesPerCopy: 2 } }), null);
});

test("none: a copy is here already or is still being wiped, no room, another sector size, a read-only drive, nothing to move", () => {
  const room = { d1: 2 * GiB };
  for (const state of ["Requested", "Missing", "Deleting"] as const) assert.equal(ask([...held, partition("c", { state })], room), null);
  assert.equal(ask(held, { d1: SIZE - MiB }), null);
  assert.equal(ask(held, room, { spec: { sectorSize: 4096 } }), null);
  assert.notEqual(ask(held, room, { spec: { sectorSize: 512 } }), null);
  assert.equal(ask(held, room, { drive: { readOnly: true } }), null);
  assert.equal(ask([], room, { provisional: true }), null);
});
