/** A small cluster for tests only: an API server in memory, nodes with drives and their programs, controllers. */
import { deviceObjectName } from "../api/device-name.ts";
import { NAMESPACE, nodeLeaseName } from "../api/names.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import { silentLogger } from "../base/log.ts";
import { DEVICES, LEASES, NODES, VOLUMES } from "../kube/resources.ts";
import { type Controller, createController } from "./controller.ts";
import { FakeKube } from "./fake-kube.ts";
import { emptyDevice, type FakeDrive, FakeNodes } from "./fake-nodes.ts";

export class FakeCluster {
  readonly kube = new FakeKube();
  /** Added to both clocks of controllers. */
  aheadMs = 0;
  readonly nodes = new FakeNodes(this.kube, 5);
  readonly #controllers: Controller[] = [];

  constructor(nodes: Record<string, FakeDrive[]>) {
    for (const [name, drives] of Object.entries(nodes)) {
      this.addNode(name);
      for (const drive of drives) this.addDrive(name, drive);
    }
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

  addDrive(nodeName: string, drive: FakeDrive): void {
    this.kube.seed(DEVICES, emptyDevice(nodeName, drive));
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
    await this.nodes.stop();
    await Promise.all(this.#controllers.map((controller) => controller.stop()));
  }

  volume(name: string): MeshStorVolume | undefined {
    return this.kube.peek(VOLUMES, name);
  }

  /** Free bytes of a drive as its msnd shows them. */
  free(nodeName: string, id: string): number {
    return this.kube.peek(DEVICES, deviceObjectName(nodeName, id))!.status!.freeBytes;
  }
}
