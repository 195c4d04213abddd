/** The node's drives: their tables for the planner, their msnd objects for everybody else. */
import { deviceSizeTexts, type DeviceStatus, type MeshStorNodeDevice } from "../api/node-device.ts";
import { API_GROUP, API_VERSION, deviceObjectName, PARTITION_TYPE } from "../api/names.ts";
import { asMeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { holesOf, unusableReason } from "../core/gpt-fit.ts";
import type { Drive, DriveTable, HostSnapshot } from "../core/observed.ts";
import { KubeError, type KubeClient } from "../kube/client.ts";
import { DEVICES } from "../kube/resources.ts";
import type { HostPort } from "./ports.ts";

const MOST_HOLES = 32;

export interface InventoryDeps {
  client: KubeClient;
  host: HostPort;
  log: Logger;
  nodeName: string;
  snapshot(): Promise<HostSnapshot>;
  cached(name: string): MeshStorNodeDevice | undefined;
  /** Called when a drive became usable or its holes changed. */
  onChange(): void;
}

export class Inventory {
  readonly #deps: InventoryDeps;
  readonly #tables = new Map<string, { print: string; table: DriveTable }>();
  #usable: ReadonlyMap<string, DriveTable> = new Map();
  #running: Promise<void> = Promise.resolve();

  constructor(deps: InventoryDeps) {
    this.#deps = deps;
  }

  /** Tables of the drives that are ours to use. */
  usableTables(): ReadonlyMap<string, DriveTable> {
    return this.#usable;
  }

  /** Looks at every drive; reads tables and writes msnd objects only where something changed. One at a time. */
  refresh(): Promise<void> {
    const next = this.#running.then(() => this.#refresh());
    this.#running = next.catch((error: unknown) => this.#deps.log.warn("drive inventory failed", { error: asMeshStorError(error).message }));
    return this.#running;
  }

  /** Reads one drive's table anew because we changed it. */
  async changed(drive: string): Promise<void> {
    this.#tables.delete(drive);
    await this.refresh();
  }

  async #refresh(): Promise<void> {
    const snapshot = await this.#deps.snapshot();
    const usable = new Map<string, DriveTable>();
    for (const drive of snapshot.drives) {
      const table = await this.#table(drive);
      const use = this.#deps.cached(deviceObjectName(this.#deps.nodeName, drive.id))?.spec.use ?? "Auto";
      const reason = unusableReason(table, drive.readOnly, use);
      if (reason === null && table) usable.set(drive.id, table);
      if (reason === "Waits for its GPT" && table) await this.#initialize(drive);
      await this.#publish(drive, table, reason, snapshot);
    }
    const before = JSON.stringify([...this.#usable]);
    this.#usable = usable;
    await this.#removeGone(snapshot);
    if (before !== JSON.stringify([...usable])) this.#deps.onChange();
  }

  async #table(drive: Drive): Promise<DriveTable | undefined> {
    const print = `${JSON.stringify(drive)} ${await this.#deps.host.fingerprint(drive)}`;
    const known = this.#tables.get(drive.id);
    if (known?.print === print) return known.table;
    try {
      const table = await this.#deps.host.readDriveTable(drive);
      this.#tables.set(drive.id, { print, table });
      return table;
    } catch (error) {
      this.#deps.log.warn("partition table not readable", { drive: drive.id, device: drive.device, error: asMeshStorError(error).message });
      this.#tables.delete(drive.id);
      return undefined;
    }
  }

  async #initialize(drive: Drive): Promise<void> {
    await this.#deps.host.initializeDrive(drive);
    this.#tables.delete(drive.id);
    this.#deps.log.info("drive given a GPT because spec.use asks for it", { drive: drive.id, device: drive.device });
  }

  async #publish(drive: Drive, table: DriveTable | undefined, reason: string | null, snapshot: HostSnapshot): Promise<void> {
    const name = deviceObjectName(this.#deps.nodeName, drive.id);
    const status = describe(this.#deps.nodeName, drive, table, reason, snapshot);
    const known = this.#deps.cached(name);
    if (known && sameStatus(known.status, status)) return;
    const object: MeshStorNodeDevice = { apiVersion: `${API_GROUP}/${API_VERSION}`, kind: "MeshStorNodeDevice", metadata: { name, labels: { "meshstor.io/node": this.#deps.nodeName } }, spec: { use: "Auto" } };
    const current = (await this.#deps.client.tryGet(DEVICES, name)) ?? (await this.#create(object));
    if (sameStatus(current.status, status)) return;
    await this.#deps.client.replaceStatus(DEVICES, { ...current, status });
  }

  async #create(object: MeshStorNodeDevice): Promise<MeshStorNodeDevice> {
    try {
      return await this.#deps.client.create(DEVICES, object);
    } catch (error) {
      if (error instanceof KubeError && error.isAlreadyExists) return this.#deps.client.get(DEVICES, object.metadata.name);
      throw error;
    }
  }

  /** A drive that is gone keeps its object (it may hold data) and says so. */
  async #removeGone(snapshot: HostSnapshot): Promise<void> {
    for (const id of [...this.#tables.keys()]) {
      if (snapshot.drives.some((d) => d.id === id)) continue;
      this.#tables.delete(id);
      const known = this.#deps.cached(deviceObjectName(this.#deps.nodeName, id));
      if (!known?.status || known.status.health === "Gone") continue;
      await this.#deps.client.replaceStatus(DEVICES, { ...known, status: { ...known.status, health: "Gone", freeBytes: 0, biggestHoleBytes: 0, ...deviceSizeTexts({ ...known.status, freeBytes: 0, biggestHoleBytes: 0 }), holes: [] } });
    }
  }
}

function describe(nodeName: string, drive: Drive, table: DriveTable | undefined, reason: string | null, snapshot: HostSnapshot): DeviceStatus {
  const holes = reason === null && table ? holesOf(table) : [];
  const sorted = [...holes].sort((a, b) => b.sizeBytes - a.sizeBytes || a.startBytes - b.startBytes);
  const ours = (table?.entries ?? []).filter((e) => e.type.toUpperCase() === PARTITION_TYPE);
  const exported = new Set(snapshot.exports.map((e) => e.partitionUUID));
  const remote = ours.filter((e) => exported.has(e.uuid.toLowerCase())).length;
  const sizes = { sizeBytes: drive.sizeBytes, freeBytes: holes.reduce((sum, h) => sum + h.sizeBytes, 0), biggestHoleBytes: sorted[0]?.sizeBytes ?? 0 };
  return {
    ...sizes,
    ...deviceSizeTexts(sizes),
    nodeName,
    drive: drive.id,
    device: drive.device,
    model: drive.model,
    serial: drive.serial,
    sectorSize: drive.sectorSize,
    holes: sorted.slice(0, MOST_HOLES),
    freePartitionEntries: table ? Math.max(0, table.maxEntries - table.entries.length) : 0,
    localPartitions: ours.length - remote,
    remotePartitions: remote,
    unknownPartitions: (table?.entries.length ?? 0) - ours.length,
    writeZeroes: drive.writeZeroes,
    health: reason ?? "Usable",
  };
}

function sameStatus(a: DeviceStatus | undefined, b: DeviceStatus): boolean {
  if (!a) return false;
  return (Object.keys(b) as (keyof DeviceStatus)[]).every((key) => JSON.stringify(a[key]) === JSON.stringify(b[key]));
}
