/**
 * A whole small cluster that runs MeshStor: guests, a real API server, the controller on the host and
 * the node program in every guest. Scenario tests, the demo and the bench share this vocabulary.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { deviceCrd, volumeCrd } from "../../src/api/crd.ts";
import { DRIVER_NAME, NAMESPACE } from "../../src/api/names.ts";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import type { MeshStorNodeDevice } from "../../src/api/node-device.ts";
import { createKubeClient, type KubeClient } from "../../src/kube/client.ts";
import { loadKubeConfig } from "../../src/kube/config.ts";
import { DEVICES, VOLUMES } from "../../src/kube/resources.ts";
import { bundleProgram } from "../../tools/bundle.ts";
import type { NodeSpec } from "../cluster.ts";
import { Lab } from "../cluster.ts";
import { ControlPlane } from "../control-plane/control-plane.ts";
import { applyYaml, ensureNode, type Manifest } from "../control-plane/objects.ts";
import { HOST } from "../net/network.ts";
import { labPaths } from "../state.ts";
import { ControllerProcess } from "./controller-process.ts";
import { NodeProgram } from "./node-program.ts";
import { eventually } from "./wait.ts";

export interface WorldSpec {
  readonly id?: string;
  readonly nodes?: readonly NodeSpec[];
  readonly kernel?: string;
  readonly logDir?: string;
  readonly detached?: boolean;
  /** Address family of the storage network that exports are offered on. */
  readonly family?: "ipv4" | "ipv6";
  /** Told what is being done, one short line each. */
  readonly say?: (line: string) => void;
  /** Done once the API server and its Node objects are there, before controller and node programs start. */
  readonly prepare?: (lab: Lab, plane: ControlPlane) => Promise<void>;
  /** Further arguments of every node program. */
  readonly nodeArguments?: readonly string[];
}

const GiB = 1024 ** 3;
/** Three nodes with two drives each. */
export const THREE_NODES: readonly NodeSpec[] = ["n1", "n2", "n3"].map((name) => ({ name, drives: [{ size: 8 * GiB }, { size: 8 * GiB }] }));

export class World {
  readonly lab: Lab;
  readonly plane: ControlPlane;
  readonly controller: ControllerProcess;
  readonly #nodes: ReadonlyMap<string, NodeProgram>;
  #client: Promise<KubeClient> | null = null;

  private constructor(lab: Lab, plane: ControlPlane, controller: ControllerProcess, nodes: ReadonlyMap<string, NodeProgram>) {
    this.lab = lab;
    this.plane = plane;
    this.controller = controller;
    this.#nodes = nodes;
  }

  /** Everything up: guests booted, CRDs applied, controller and node programs running, all drives registered. */
  static async up(spec: WorldSpec = {}): Promise<World> {
    spec.say?.("guests boot");
    const artefacts = process.env["MESHSTOR_ARTEFACTS"];
    const logs = spec.logDir === undefined && artefacts ? { logDir: artefacts } : {};
    const lab = await Lab.create({ nodes: spec.nodes ?? THREE_NODES, ...pick(spec), ...logs });
    return World.install(lab, spec);
  }

  /** API server, controller and node programs on a lab whose guests are up. */
  static async install(lab: Lab, spec: Omit<WorldSpec, "id" | "nodes" | "kernel" | "logDir"> = {}): Promise<World> {
    const say = spec.say ?? (() => {});
    const detached = spec.detached === true;
    const bundle = bundleProgram();
    const host = lab.net.addresses(HOST);
    say("etcd and kube-apiserver start");
    const plane = await ControlPlane.start({
      dir: join(labPaths(lab.id).dir, "control-plane"),
      runPrefix: lab.net.command([]),
      addresses: [host.ipv4, host.ipv6],
      dieWithStarter: !detached,
    });
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } };
    await applyYaml(plane, [namespace, volumeCrd(), deviceCrd()] as Manifest[]);
    for (const name of lab.names) {
      const { ipv4, ipv6 } = lab.net.addresses(name);
      await ensureNode(plane, { name, addresses: [spec.family === "ipv6" ? ipv6 : ipv4] });
    }
    await spec.prepare?.(lab, plane);
    const program = await bundle;
    say("controller and node programs start");
    const world = World.#assemble(lab, plane, program, { detached, nodeArguments: spec.nodeArguments ?? [] });
    await Promise.all([world.controller.start(), ...lab.names.map((name) => world.node(name).start())]);
    await world.registered();
    say(`${lab.names.length} nodes registered`);
    return world;
  }

  /** Goes on with a world that another process made and detached. */
  static async attach(id: string): Promise<World> {
    const lab = Lab.attach(id);
    const plane = await ControlPlane.attach(join(labPaths(lab.id).dir, "control-plane"));
    return World.#assemble(lab, plane, await bundleProgram(), { detached: true, nodeArguments: [] });
  }

  static #assemble(lab: Lab, plane: ControlPlane, program: string, spec: { detached: boolean; nodeArguments: readonly string[] }): World {
    mkdirSync(lab.logDir, { recursive: true });
    const controller = new ControllerProcess(lab, plane, program, spec.detached);
    // Made once: two at a time would make two keys for one certificate.
    let made: Promise<string> | null = null;
    const kubeconfig = () => (made ??= plane.kubeconfigFor("meshstor-node", ["system:masters"]));
    const inGuest = lab.share("meshstor.mjs", program);
    const nodes = new Map(lab.names.map((name) => [name, new NodeProgram(lab, lab.guest(name), { path: inGuest, kubeconfig, more: spec.nodeArguments })]));
    return new World(lab, plane, controller, nodes);
  }

  /** The node program of a guest. */
  node(name: string): NodeProgram {
    const node = this.#nodes.get(name);
    if (!node) throw new Error(`no node "${name}"`);
    return node;
  }

  get names(): readonly string[] {
    return this.lab.names;
  }

  async kubectl(...args: string[]): Promise<string> {
    return (await this.plane.kubectl(args)).stdout;
  }

  /** The volume's object, or null. */
  async volume(name: string): Promise<MeshStorVolume | null> {
    return (await this.#api()).tryGet(VOLUMES, name);
  }

  async devices(): Promise<MeshStorNodeDevice[]> {
    return (await (await this.#api()).list(DEVICES)).items;
  }

  /** The API over a connection that is kept, as the administrator: looked at several times a second, kubectl would take a quarter of a core. */
  #api(): Promise<KubeClient> {
    return (this.#client ??= (async () => {
      const { hostname, port } = new URL(this.plane.url());
      const exposed = await this.lab.net.expose(hostname, Number(port));
      return createKubeClient({ ...loadKubeConfig({ path: this.plane.kubeconfigPath }), server: `https://127.0.0.1:${exposed.port}` });
    })());
  }

  /** Waits until every drive of every running guest is registered. */
  async registered(): Promise<void> {
    await eventually("every drive is registered as msnd", 60, async () => {
      const devices = await this.devices();
      const silent = this.lab.names.filter((name) => !devices.some((d) => d.status?.nodeName === name));
      return silent.length === 0 ? true : `no msnd of ${silent.join(", ")} yet`;
    });
  }

  /** Waits until the volume's object satisfies `test` (true, or a sentence of what is still missing). */
  untilVolume(name: string, what: string, seconds: number, test: (volume: MeshStorVolume) => true | string): Promise<MeshStorVolume> {
    let seen: MeshStorVolume | null = null;
    return eventually(`volume ${name} ${what}`, seconds, async () => {
      seen = await this.volume(name);
      return seen ? test(seen) : "it does not exist";
    }).then(() => seen!);
  }

  /** Power off as a plug is pulled; the node program goes with it. */
  async powerOff(name: string): Promise<void> {
    this.node(name).lost();
    await this.lab.guest(name).powerOff();
  }

  /** Boots the guest and starts its node program. */
  async powerOn(name: string): Promise<void> {
    await this.lab.guest(name).powerOn();
    await this.node(name).start();
  }

  /** Stops everything of ours and destroys the lab. */
  async down(): Promise<void> {
    await this.controller.stop();
    await this.plane.kill().catch(() => {});
    await this.lab.destroy();
  }

  /** Name of the CSI driver, for PVs and messages. */
  readonly driver = DRIVER_NAME;
}

function pick(spec: WorldSpec): Partial<WorldSpec> {
  return {
    ...(spec.id === undefined ? {} : { id: spec.id }),
    ...(spec.kernel === undefined ? {} : { kernel: spec.kernel }),
    ...(spec.logDir === undefined ? {} : { logDir: spec.logDir }),
    ...(spec.detached === undefined ? {} : { detached: spec.detached }),
  };
}
