/** The node's drives: their tables for the planner, their msnd objects for everybody else. */
import { isDeepStrictEqual } from "node:util";
import { deviceSizeTexts, type DeviceStatus, type MeshStorNodeDevice } from "../api/node-device.ts";
import { deviceObjectName } from "../api/device-name.ts";
import { API_GROUP, API_VERSION, PARTITION_TYPE } from "../api/names.ts";
import { asMeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { holesOf, unusableReason, WAITS_FOR_GPT } from "../core/gpt-fit.ts";
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
  #shown: ReadonlyMap<string, DriveTable> = new Map();
  #running: Promise<void> = Promise.resolve();

  constructor(deps: InventoryDeps) {
    this.#deps = deps;
  }

  /** Tables for the planner: of every drive with a GPT, without room for more where the drive is not ours to use. */
  tables(): ReadonlyMap<string, DriveTable> {
    return this.#shown;
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
    const seen = await Promise.all(snapshot.drives.map((drive) => this.#look(drive)));
    const tables = new Map(seen.flatMap(({ drive, table, reason }) => (table?.label === "gpt" ? [[drive.id, reason === null ? table : closed(table)] as const] : [])));
    const before = JSON.stringify([...this.#shown]);
    this.#shown = tables;
    if (before !== JSON.stringify([...tables])) this.#deps.onChange();
    for (const { drive, table, reason } of seen) await this.#publish(drive, table, reason, snapshot).catch((error: unknown) => this.#notWritten(drive.id, error));
    await this.#removeGone(snapshot);
  }

  /** What a drive is to us. One drive's trouble never hides another drive. */
  async #look(drive: Drive): Promise<{ drive: Drive; table: DriveTable | undefined; reason: string | null }> {
    const use = this.#deps.cached(deviceObjectName(this.#deps.nodeName, drive.id))?.spec.use ?? "Auto";
    let table = await this.#table(drive);
    if (table && unusableReason(table, drive.readOnly, use) === WAITS_FOR_GPT) {
      await this.#initialize(drive);
      table = await this.#table(drive);
    }
    return { drive, table, reason: unusableReason(table, drive.readOnly, use) };
  }

  #notWritten(drive: string, error: unknown): void {
    this.#deps.log.warn("msnd not written; tried again", { drive, error: asMeshStorError(error).message });
  }

  async #table(drive: Drive): Promise<DriveTable | undefined> {
    try {
      const print = `${JSON.stringify(drive)} ${await this.#deps.host.fingerprint(drive)}`;
      const known = this.#tables.get(drive.id);
      if (known?.print === print) return known.table;
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
    // Whatever comes of it, the drive is not what it was taken for.
    this.#tables.delete(drive.id);
    try {
      await this.#deps.host.initializeDrive(drive);
      this.#deps.log.info("drive given a GPT because spec.use asks for it", { drive: drive.id, device: drive.device });
    } catch (error) {
      this.#deps.log.warn("drive not given a GPT", { drive: drive.id, device: drive.device, error: asMeshStorError(error).message });
    }
  }

  async #publish(drive: Drive, table: DriveTable | undefined, reason: string | null, snapshot: HostSnapshot): Promise<void> {
    const name = deviceObjectName(this.#deps.nodeName, drive.id);
    const status = describe(this.#deps.nodeName, drive, table, reason, snapshot);
    const known = this.#deps.cached(name);
    if (known && sameStatus(known.status, status)) return;
    const object: MeshStorNodeDevice = {
      apiVersion: `${API_GROUP}/${API_VERSION}`,
      kind: "MeshStorNodeDevice",
      metadata: { name, labels: { "meshstor.io/node": this.#deps.nodeName } },
      spec: { use: "Auto" },
    };
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
      await this.#deps.client.replaceStatus(DEVICES, {
        ...known,
        status: { ...known.status, health: "Gone", freeBytes: 0, biggestHoleBytes: 0, ...deviceSizeTexts({ ...known.status, freeBytes: 0, biggestHoleBytes: 0 }), holes: [] },
      });
    }
  }
}

/** A drive that is excluded, read-only or in use gets no new partition; what we have on it is still known, wiped and freed. */
function closed(table: DriveTable): DriveTable {
  return { ...table, maxEntries: 0 };
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

/** The API server hands objects back with their fields in another order. */
function sameStatus(a: DeviceStatus | undefined, b: DeviceStatus): boolean {
  if (!a) return false;
  return (Object.keys(b) as (keyof DeviceStatus)[]).every((key) => isDeepStrictEqual(a[key], b[key]));
}
