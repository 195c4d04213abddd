/**
 * A cluster in which everything of ours runs as its users run it: from manifests and images. Guests are Kubernetes nodes with the
 * images in their containerd; controller, sidecars and node programs are pods.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { Lab } from "../cluster.ts";
import { ControlPlane } from "../control-plane/control-plane.ts";
import { HOST } from "../net/network.ts";
import { labPaths } from "../state.ts";
import { eventually } from "../world/wait.ts";
import { ClusterClient } from "./client.ts";
import { startControlPrograms } from "./control-programs.ts";
import type { HostProgram } from "./host-program.ts";
import { KubernetesNode } from "./kubernetes-node.ts";

const GiB = 1024 ** 3;

/** As systemd does: the containers' programs get a while to end, then they are killed; sync; reboot(2). */
const SHUT_DOWN = `
shims=$(pgrep -d, containerd-shim)
pkill -TERM -P "$shims"
sleep 5
pkill -KILL -P "$shims"
timeout 10 sync
exec busybox poweroff -n -f
`;

/** What {@link DeployedCluster.up} makes. */
export interface DeployedSpec {
  /** Names of the nodes; n1 and n2 by default. */
  readonly names?: readonly string[];
  /** Images (tars on the host) that the manifests ask for. */
  readonly images: readonly string[];
  readonly logDir?: string;
  /** Told what is being done, one short line each. */
  readonly say?: (line: string) => void;
}

/** See the module's comment. */
export class DeployedCluster extends ClusterClient {
  readonly lab: Lab;
  readonly #nodes: ReadonlyMap<string, KubernetesNode>;
  readonly #programs: readonly HostProgram[];
  readonly #images: readonly string[];

  private constructor(lab: Lab, plane: ControlPlane, parts: { nodes: ReadonlyMap<string, KubernetesNode>; programs: readonly HostProgram[]; images: readonly string[] }) {
    super(plane);
    this.lab = lab;
    this.#nodes = parts.nodes;
    this.#programs = parts.programs;
    this.#images = parts.images;
  }

  /** A cluster whose nodes are Ready and have the images; nothing of ours runs in it yet. */
  static async up({ names = ["n1", "n2"], images, logDir = process.env["MESHSTOR_ARTEFACTS"], say = () => {} }: DeployedSpec): Promise<DeployedCluster> {
    say("guests boot");
    const drives = [{ size: 8 * GiB }, { size: 8 * GiB }];
    const nodes = names.map((name) => ({ name, root: "kubernetes-node" as const, persist: true, memoryMiB: 1536, drives }));
    const lab = await Lab.create({ nodes, ...(logDir ? { logDir } : {}) });
    mkdirSync(lab.logDir, { recursive: true });
    const { ipv4, ipv6 } = lab.net.addresses(HOST);
    say("control plane starts");
    const plane = await ControlPlane.start({ dir: join(labPaths(lab.id).dir, "control-plane"), runPrefix: lab.net.command([]), addresses: [ipv4, ipv6], dieWithStarter: true });
    const programs = await startControlPrograms(lab, plane);
    say("nodes join");
    const joined = new Map(names.map((name) => [name, new KubernetesNode(lab, plane, lab.guest(name))]));
    await Promise.all([...joined.values()].map((node) => node.start(images)));
    return new DeployedCluster(lab, plane, { nodes: joined, programs, images });
  }

  /** A node's kubelet and containerd. */
  node(name: string): KubernetesNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`no node "${name}"`);
    return node;
  }

  /** Pulls a node's plug. */
  async powerOff(name: string): Promise<void> {
    this.node(name).lost();
    await this.lab.guest(name).powerOff();
  }

  /** Shuts a node down as its operating system does at the end: programs are told to end, then the kernel stops its devices. @throws Error when the machine is still on after `seconds` */
  async shutDown(name: string, seconds: number): Promise<void> {
    const guest = this.lab.guest(name);
    await this.node(name).stopKubelet();
    await guest.spawn(["sh", "-c", SHUT_DOWN]);
    await eventually(`${name} is off`, seconds, async () => guest.state === "off" || "it is on");
    this.node(name).lost();
    await guest.powerOff();
  }

  /** Boots a node again and waits until it is Ready; what runs on it comes back by itself. */
  async powerOn(name: string): Promise<void> {
    await this.lab.guest(name).powerOn();
    await this.node(name).start(this.#images);
  }

  /** Stops everything and destroys the lab. */
  async down(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
    await this.plane.kill().catch(() => {});
    await this.lab.destroy();
  }
}
