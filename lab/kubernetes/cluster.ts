/**
 * A {@link World} whose guests are real Kubernetes nodes: kubelet and containerd in every guest, controller-manager, scheduler and
 * the sidecars on the host, and node programs that register themselves with kubelet.
 */
import { DRIVER_NAME } from "../../src/api/names.ts";
import type { NodeSpec } from "../cluster.ts";
import { applyYaml } from "../control-plane/objects.ts";
import { eventually } from "../world/wait.ts";
import { World, type WorldSpec } from "../world/world.ts";
import { ClusterClient } from "./client.ts";
import { startControlPrograms } from "./control-programs.ts";
import type { HostProgram } from "./host-program.ts";
import { KubernetesNode } from "./kubernetes-node.ts";
import { csiDriver } from "./objects.ts";
import { type Sidecar, startSidecar } from "./sidecars.ts";

const GiB = 1024 ** 3;

/** Where the node program makes the socket that kubelet finds. */
const REGISTRATION = `unix:///var/lib/kubelet/plugins_registry/${DRIVER_NAME}-reg.sock`;

/** What {@link Cluster.up} makes. */
export interface ClusterSpec extends Omit<WorldSpec, "nodes" | "prepare" | "nodeArguments"> {
  /** Names of the nodes; n1 and n2 by default. */
  readonly names?: readonly string[];
  /** Provisioner and resizer by default. */
  readonly sidecars?: readonly Sidecar[];
  /** Images (tars on the host) that every node has besides the lab's own. */
  readonly images?: readonly string[];
}

/** A node with two drives. */
function nodeSpec(name: string): NodeSpec {
  return { name, root: "kubernetes-node", persist: true, memoryMiB: 1024, drives: [{ size: 8 * GiB }, { size: 8 * GiB }] };
}

/** See the module's comment. */
export class Cluster extends ClusterClient {
  readonly world: World;
  readonly #nodes: ReadonlyMap<string, KubernetesNode>;
  readonly #programs: readonly HostProgram[];
  readonly #images: readonly string[];

  private constructor(world: World, nodes: ReadonlyMap<string, KubernetesNode>, programs: readonly HostProgram[], images: readonly string[]) {
    super(world.plane);
    this.world = world;
    this.#nodes = nodes;
    this.#programs = programs;
    this.#images = images;
  }

  /** Everything up: nodes Ready, the driver registered with every kubelet, the sidecars running. */
  static async up({ names = ["n1", "n2"], sidecars = ["csi-provisioner", "csi-resizer"], images = [], ...spec }: ClusterSpec = {}): Promise<Cluster> {
    const nodes = new Map<string, KubernetesNode>();
    const programs: HostProgram[] = [];
    const world = await World.up({
      ...spec,
      nodes: names.map(nodeSpec),
      nodeArguments: ["--registration", REGISTRATION],
      prepare: async (lab, plane) => {
        spec.say?.("kubelets, controller-manager and scheduler start");
        programs.push(...(await startControlPrograms(lab, plane)));
        for (const name of names) nodes.set(name, new KubernetesNode(lab, plane, lab.guest(name)));
        await Promise.all([...nodes.values()].map((node) => node.start(images)));
      },
    });
    await applyYaml(world.plane, [csiDriver()]);
    for (const sidecar of sidecars) programs.push(await startSidecar(world.lab, world.plane, sidecar, world.controller.socketPath));
    const cluster = new Cluster(world, nodes, programs, images);
    for (const name of names) await cluster.registered(name);
    return cluster;
  }

  /** A node's kubelet and containerd. */
  node(name: string): KubernetesNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`no node "${name}"`);
    return node;
  }

  /** A program on the host: kube-scheduler, csi-provisioner, ... */
  program(name: string): HostProgram {
    const program = this.#programs.find((each) => each.name === name);
    if (program === undefined) throw new Error(`no program "${name}"`);
    return program;
  }

  /** Waits until kubelet of a node has taken the driver. */
  async registered(name: string): Promise<void> {
    await eventually(`kubelet of ${name} knows the driver`, 60, async () => {
      const { stdout } = await this.world.plane.kubectl(["get", "csinode", name, "--output=jsonpath={.spec.drivers[*].name}"], { mayFail: true });
      return stdout.split(" ").includes(DRIVER_NAME) || `csinode ${name} lists: ${stdout || "nothing"}`;
    });
  }

  /** Boots a node again and waits until it takes part as before. */
  async powerOn(name: string): Promise<void> {
    await this.world.lab.guest(name).powerOn();
    await this.node(name).start(this.#images);
    await this.world.node(name).start();
    await this.registered(name);
  }

  /** Pulls a node's plug. */
  async powerOff(name: string): Promise<void> {
    this.node(name).lost();
    await this.world.powerOff(name);
  }

  /** Stops everything and destroys the lab. */
  async down(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
    await this.world.down();
  }
}
