/** A small cluster for tests only: an API server in memory, nodes with drives, and what node programs do to records. */
import type { MeshStorNodeDevice } from "../api/node-device.ts";
import { API_GROUP, API_VERSION, deviceObjectName, NAMESPACE, nodeLeaseName } from "../api/names.ts";
import type { MeshStorVolume, PartitionRecord, VolumeStatus } from "../api/volume.ts";
import { silentLogger } from "../base/log.ts";
import { GiB } from "../base/units.ts";
import { DEVICES, LEASES, NODES, VOLUMES } from "../kube/resources.ts";
import { updateStatus } from "../kube/update.ts";
import { type Controller, createController } from "./controller.ts";
import { FakeKube } from "./fake-kube.ts";

interface FakeDrive {
  id: string;
  sizeBytes?: number;
  sectorSize?: number;
}

export class FakeCluster {
  readonly kube = new FakeKube();
  /** Added to both clocks of controllers. */
  aheadMs = 0;
  /** Node programs that do nothing for now. */
  readonly asleep = new Set<string>();
  /** Drives (`node drive`) on which no partition can be made. */
  readonly broken = new Set<string>();
  readonly #controllers: Controller[] = [];
  readonly #timer: NodeJS.Timeout;
  #turn: Promise<void> = Promise.resolve();

  constructor(nodes: Record<string, FakeDrive[]>) {
    for (const [name, drives] of Object.entries(nodes)) {
      this.addNode(name);
      for (const drive of drives) this.addDrive(name, drive);
    }
    this.#timer = setInterval(() => void (this.#turn = this.#turn.then(() => this.#work().catch(() => {}))), 5);
  }

  addNode(name: string, change: { unschedulable?: boolean; renewed?: Date } = {}): void {
    const spec = change.unschedulable ? { unschedulable: true } : {};
    this.kube.seed(NODES, { apiVersion: "v1", kind: "Node", metadata: { name, labels: { "kubernetes.io/hostname": name } }, spec });
    this.beat(name, change.renewed);
  }

  /** The node program renews its lease. */
  beat(name: string, at: Date = new Date(Date.now() + this.aheadMs)): void {
    this.kube.seed(LEASES, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: nodeLeaseName(name), namespace: NAMESPACE },
      spec: { renewTime: at.toISOString() },
    });
  }

  addDrive(nodeName: string, { id, sizeBytes = 10 * GiB, sectorSize = 512 }: FakeDrive): void {
    const device: MeshStorNodeDevice = {
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
    this.kube.seed(DEVICES, device);
  }

  /** A controller that has read everything. */
  async controller(): Promise<Controller> {
    const controller = this.startController();
    await controller.synced;
    return controller;
  }

  startController(): Controller {
    const clock = { nowMs: () => performance.now() + this.aheadMs, wallMs: () => Date.now() + this.aheadMs };
    const controller = createController({ client: this.kube, log: silentLogger, clock, newID: () => crypto.randomUUID() });
    this.#controllers.push(controller);
    controller.start();
    return controller;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#turn;
    await Promise.all(this.#controllers.map((controller) => controller.stop()));
  }

  volume(name: string): MeshStorVolume | undefined {
    return this.kube.peek(VOLUMES, name);
  }

  /** Free bytes of a drive as its msnd shows them. */
  free(nodeName: string, id: string): number {
    return this.kube.peek(DEVICES, deviceObjectName(nodeName, id))!.status!.freeBytes;
  }

  /** What every node program does in one pass. */
  async #work(): Promise<void> {
    const { items } = await this.kube.list(VOLUMES);
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
    if (!gone && !broken) this.#take(p, p.sizeBytes);
    const done = { ...p, state: "Created" as const };
    const faulty = { ...p, state: "Faulty" as const, message: `drive ${p.drive} is broken` };
    await updateStatus(this.kube, volume.metadata.name, (v): VolumeStatus | null => {
      const partitions = v.status?.partitions ?? [];
      const mine = partitions.find((q) => q.partitionUUID === p.partitionUUID);
      if (!mine || mine.state !== p.state) return null;
      if (gone) return { ...v.status, partitions: partitions.filter((q) => q !== mine) };
      return { ...v.status, partitions: partitions.map((q) => (q === mine ? (broken ? faulty : done) : q)) };
    });
    if (gone && !broken && p.state !== "Requested") this.#take(p, -p.sizeBytes);
  }

  #take(p: PartitionRecord, bytes: number): void {
    const device = this.kube.peek(DEVICES, deviceObjectName(p.nodeID, p.drive))!;
    const free = device.status!.freeBytes - bytes;
    this.kube.seed(DEVICES, { ...device, status: { ...device.status!, freeBytes: free, biggestHoleBytes: free, holes: free > 0 ? [{ startBytes: 0, sizeBytes: free }] : [] } });
  }
}
