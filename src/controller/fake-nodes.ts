/** For tests only: what node programs do to records and drives, against any API server (in memory or real). */
import type { MeshStorNodeDevice } from "../api/node-device.ts";
import { deviceObjectName } from "../api/device-name.ts";
import { API_GROUP, API_VERSION } from "../api/names.ts";
import type { MeshStorVolume, PartitionRecord, VolumeStatus } from "../api/volume.ts";
import { GiB } from "../base/units.ts";
import type { KubeClient } from "../kube/client.ts";
import { DEVICES, VOLUMES } from "../kube/resources.ts";
import { updateStatus } from "../kube/update.ts";

export interface FakeDrive {
  id: string;
  sizeBytes?: number;
  sectorSize?: number;
}

/** The msnd of an empty drive. */
export function emptyDevice(nodeName: string, { id, sizeBytes = 10 * GiB, sectorSize = 512 }: FakeDrive): MeshStorNodeDevice {
  return {
    apiVersion: `${API_GROUP}/${API_VERSION}`,
    kind: "MeshStorNodeDevice",
    metadata: { name: deviceObjectName(nodeName, id) },
    spec: { use: "Auto" },
    status: {
      nodeName,
      drive: id,
      device: "nvme0n1",
      model: "fake",
      serial: id,
      sizeBytes,
      freeBytes: sizeBytes,
      biggestHoleBytes: sizeBytes,
      sectorSize,
      holes: [{ startBytes: 0, sizeBytes }],
      freePartitionEntries: 128,
      localPartitions: 0,
      remotePartitions: 0,
      unknownPartitions: 0,
      writeZeroes: true,
      health: "Usable",
    },
  };
}

/** The node programs of all nodes. */
export class FakeNodes {
  /** Nodes whose program does nothing for now. */
  readonly asleep = new Set<string>();
  /** Drives (`node drive`) on which no partition can be made. */
  readonly broken = new Set<string>();
  readonly #client: KubeClient;
  readonly #timer: NodeJS.Timeout;
  #turn: Promise<void> = Promise.resolve();

  constructor(client: KubeClient, everyMs: number) {
    this.#client = client;
    this.#timer = setInterval(() => void (this.#turn = this.#turn.then(() => this.#work().catch(() => {}))), everyMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#turn;
  }

  /** One pass of every node program. */
  async #work(): Promise<void> {
    const { items } = await this.#client.list(VOLUMES);
    for (const volume of items) {
      for (const partition of volume.status?.partitions ?? []) {
        if (!this.asleep.has(partition.nodeID)) await this.#serve(volume, partition).catch(() => {});
      }
    }
  }

  async #serve(volume: MeshStorVolume, p: PartitionRecord): Promise<void> {
    const gone = p.state === "Deleting" || volume.metadata.deletionTimestamp !== undefined;
    if (!gone && p.state !== "Requested") return;
    const broken = this.broken.has(`${p.nodeID} ${p.drive}`);
    // Space is taken in the drive before the record says Created, and freed after the entry left the record.
    if (!gone && !broken) await this.#take(p, p.sizeBytes);
    const done = { ...p, state: "Created" as const };
    const faulty = { ...p, state: "Faulty" as const, message: `drive ${p.drive} is broken` };
    await updateStatus(this.#client, volume.metadata.name, (v): VolumeStatus | null => {
      const partitions = v.status?.partitions ?? [];
      const mine = partitions.find((q) => q.partitionUUID === p.partitionUUID);
      if (!mine || mine.state !== p.state) return null;
      if (gone) return { ...v.status, partitions: partitions.filter((q) => q !== mine) };
      return { ...v.status, partitions: partitions.map((q) => (q === mine ? (broken ? faulty : done) : q)) };
    });
    if (gone && !broken && p.state !== "Requested") await this.#take(p, -p.sizeBytes);
  }

  async #take(p: PartitionRecord, bytes: number): Promise<void> {
    const device = await this.#client.get(DEVICES, deviceObjectName(p.nodeID, p.drive));
    const free = device.status!.freeBytes - bytes;
    const holes = free > 0 ? [{ startBytes: 0, sizeBytes: free }] : [];
    await this.#client.replaceStatus(DEVICES, { ...device, status: { ...device.status!, freeBytes: free, biggestHoleBytes: free, holes } });
  }
}
