import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceObjectName } from "../api/device-name.ts";
import type { MeshStorNodeDevice } from "../api/node-device.ts";
import { MeshStorError } from "../base/errors.ts";
import { silentLogger } from "../base/log.ts";
import { fit } from "../core/gpt-fit.ts";
import type { Drive, DriveTable, HostSnapshot } from "../core/observed.ts";
import type { KubeClient } from "../kube/client.ts";
import { Inventory } from "./inventory.ts";
import type { HostPort } from "./ports.ts";

const MiB = 1024 ** 2;
const GiB = 1024 * MiB;

function drive(id: string): Drive {
  return { id, device: `${id}n1`, model: "m", serial: id, sizeBytes: GiB, sectorSize: 512, readOnly: false, writeZeroes: true };
}
function table(id: string, change: Partial<DriveTable> = {}): DriveTable {
  return { drive: id, label: "gpt", firstUsableByte: MiB, lastUsableByte: GiB - MiB, entries: [], maxEntries: 128, signature: null, usedBy: null, ...change };
}

/** A node with these drives; what is read of them, and how often, is the test's to say. */
function node(tables: Record<string, DriveTable | Error>) {
  const objects = new Map<string, MeshStorNodeDevice>();
  const reads: string[] = [];
  const prints: Record<string, string> = {};
  const refused = new Set<string>();
  const initialized: string[] = [];
  const client = {
    tryGet: async (_type: unknown, name: string) => objects.get(name) ?? null,
    create: async (_type: unknown, object: MeshStorNodeDevice) => object,
    replaceStatus: async (_type: unknown, object: MeshStorNodeDevice) => {
      if (refused.has(object.metadata.name)) throw new Error("refused");
      objects.set(object.metadata.name, object);
    },
  } as unknown as KubeClient;
  const host = {
    fingerprint: async ({ id }: Drive) => prints[id] ?? "",
    readDriveTable: async ({ id }: Drive) => {
      reads.push(id);
      const found = tables[id]!;
      if (found instanceof Error) throw found;
      return found;
    },
    initializeDrive: async ({ id }: Drive) => {
      if (tables[id] instanceof Error || (tables[id] as DriveTable).signature) throw new MeshStorError("ForeignContent", `drive ${id} is not blank`);
      initialized.push(id);
      tables[id] = table(id);
    },
  } as unknown as HostPort;
  const snapshot = async () => ({ drives: Object.keys(tables).map(drive), exports: [] }) as unknown as HostSnapshot;
  const inventory = new Inventory({ client, host, log: silentLogger, nodeName: "n", snapshot, cached: (name) => objects.get(name), onChange: () => {} });
  const health = () => Object.fromEntries([...objects.values()].map((o) => [o.status!.drive, o.status!.health]));
  return { inventory, objects, reads, prints, refused, initialized, health };
}
const nameOf = (drive: string) => deviceObjectName("n", drive);
const use = (drive: string, use: "Exclude" | "Initialize") => [nameOf(drive), { metadata: { name: nameOf(drive) }, spec: { use } } as MeshStorNodeDevice] as const;

test("a table is read again only when the drive's fingerprint has changed", async () => {
  const n = node({ a: table("a"), b: table("b") });
  await n.inventory.refresh();
  await n.inventory.refresh();
  assert.deepEqual(n.reads, ["a", "b"]);
  n.prints["b"] = "changed";
  await n.inventory.refresh();
  assert.deepEqual(n.reads, ["a", "b", "b"]);
});

test("a drive that is not ours to use keeps its table and has no room", async () => {
  const n = node({ a: table("a"), b: table("b"), c: table("c", { usedBy: "dm-1" }), d: table("d", { label: "dos" }) });
  n.objects.set(...use("b", "Exclude"));
  await n.inventory.refresh();
  const rooms = [...n.inventory.tables()].map(([id, t]) => [id, fit(t, 100 * MiB) !== null]);
  assert.deepEqual(rooms, [
    ["a", true],
    ["b", false],
    ["c", false],
  ]);
});

test("one drive's trouble hides no other drive", async () => {
  const n = node({ a: new Error("hangs"), b: table("b", { label: "none" }), c: table("c", { label: "none" }), d: table("d"), e: table("e") });
  n.objects.set(...use("b", "Initialize")).set(...use("c", "Initialize"));
  n.refused.add(nameOf("d"));
  await n.inventory.refresh();
  assert.deepEqual(n.initialized, ["b", "c"]);
  assert.deepEqual(n.health(), { a: "Partition table not read yet", b: "Usable", c: "Usable", e: "Usable" });
  assert.deepEqual([...n.inventory.tables().keys()], ["b", "c", "d", "e"]);
});

test("a drive that got something else before its table is not initialized, and says what it has", async () => {
  const tables: Record<string, DriveTable> = { a: table("a", { label: "none" }), b: table("b") };
  const n = node(tables);
  await n.inventory.refresh();
  n.objects.set(...use("a", "Initialize"));
  // Its fingerprint has not changed yet: the look before says blank.
  tables["a"] = table("a", { label: "none", signature: "xfs" });
  await n.inventory.refresh();
  assert.deepEqual(n.initialized, []);
  assert.deepEqual(n.health(), { a: "Whole drive carries xfs", b: "Usable" });
});
