/** The node program inside one guest: started, killed, restarted, and spoken to as kubelet does. */
import { appendFileSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Identity, Node, VolumeCapability_AccessMode_Mode as AccessMode } from "../../src/csi/gen/csi_pb.ts";
import { NODE_ENVIRONMENT, NODE_FLAGS } from "../../tools/image/config.ts";
import type { Lab } from "../cluster.ts";
import type { Guest, GuestProcess } from "../guest/guest.ts";
import { CsiClient } from "./csi-client.ts";
import { eventually } from "./wait.ts";

export const GUEST_SOCKET = "/run/meshstor/csi.sock";
const KUBECONFIG = "/run/meshstor/kubeconfig";

/** The one capability that scenarios ask for unless they say otherwise. */
export const MOUNT_XFS = {
  accessType: { case: "mount" as const, value: { fsType: "xfs", mountFlags: [] as string[] } },
  accessMode: { mode: AccessMode.SINGLE_NODE_WRITER },
};
export const MOUNT_EXT4 = { ...MOUNT_XFS, accessType: { case: "mount" as const, value: { fsType: "ext4", mountFlags: [] as string[] } } };
/** A raw device; its target path is a file, at which a user opens it. */
export const RAW = { ...MOUNT_XFS, accessType: { case: "block" as const, value: {} } };
export type Capability = typeof MOUNT_XFS | typeof RAW;

/** What is started in a guest. */
export interface ProgramInGuest {
  readonly path: string;
  /** Makes the file (on the host) by which it reaches the API server. */
  readonly kubeconfig: () => Promise<string>;
  /** Further arguments. */
  readonly more?: readonly string[];
}

/** How much slower than a host a guest is taken to be; an emulated processor beside other labs is slower still. */
const TIME_SCALE = { process: "5", emulated: "20" } as const;

export class NodeProgram {
  readonly guest: Guest;
  readonly #lab: Lab;
  readonly #kubeconfig: () => Promise<string>;
  readonly #program: string;
  readonly #more: readonly string[];
  #process: GuestProcess | null = null;
  #client: CsiClient | null = null;
  #socket: string | null = null;

  constructor(lab: Lab, guest: Guest, program: ProgramInGuest) {
    this.#lab = lab;
    this.guest = guest;
    this.#kubeconfig = program.kubeconfig;
    this.#program = program.path;
    this.#more = program.more ?? [];
  }

  get name(): string {
    return this.guest.name;
  }

  get logPath(): string {
    return join(this.#lab.logDir, `${this.name}.node.log`);
  }

  /** Starts it; resolves once it answers Probe (or, with a crash moment, once it runs). */
  async start(options: { crashAt?: string } = {}): Promise<void> {
    await this.guest.writeFile(KUBECONFIG, readFileSync(await this.#kubeconfig()), 0o600);
    const crash = options.crashAt ? ["--crash-at", options.crashAt] : [];
    appendFileSync(this.logPath, `--- start ${crash.join(" ")}\n`);
    const logged = statSync(this.logPath).size;
    this.#process = await this.guest.spawn(
      ["node", ...NODE_FLAGS, this.#program, "node", "--node-name", this.name, "--kubeconfig", KUBECONFIG, "--endpoint", `unix://${GUEST_SOCKET}`, ...this.#more, ...crash],
      { logPath: this.logPath, env: { ...NODE_ENVIRONMENT, MESHSTOR_TIME_SCALE: TIME_SCALE[this.guest.kind] } },
    );
    if (options.crashAt) return;
    // Asked before it serves, it would answer only after that question has timed out, seconds later. It may also end by itself.
    let ended = false;
    void this.#process.exited.then(() => (ended = true));
    await eventually(`the node program on ${this.name} serves`, 60, async () => ended || this.#says("serving", logged) || "not yet");
    await this.answers();
  }

  /** True if its log has this message behind the first `from` bytes. */
  #says(message: string, from: number): boolean {
    return readFileSync(this.logPath).subarray(from).includes(`"msg":"${message}"`);
  }

  /** A controller in this guest, after {@link start}, for those who want both roles on one machine; resolves once its socket is there. */
  async startController(socket: string): Promise<GuestProcess> {
    const argv = ["node", ...NODE_FLAGS, this.#program, "controller", "--kubeconfig", KUBECONFIG, "--endpoint", `unix://${socket}`];
    const started = await this.guest.spawn(argv, { logPath: join(this.#lab.logDir, `${this.name}.controller.log`), env: NODE_ENVIRONMENT });
    await eventually(`the controller on ${this.name} serves`, 60, async () => (await this.guest.exec(["test", "-S", socket], { okCodes: "any" })).code === 0 || "no socket yet");
    return started;
  }

  /** Waits until Probe is answered. */
  async answers(): Promise<void> {
    await eventually(`the node program on ${this.name} answers`, 60, async () => {
      // A new connection each time: one that was begun before the socket existed may wait for ever.
      this.#client?.close();
      this.#client = null;
      await (await this.csi()).call(Identity, Identity.method.probe, {}, 2_000);
      return true;
    });
  }

  /** SIGKILL: nothing in it gets to do anything. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
    this.lost();
  }

  /** SIGTERM, as kubelet stops a pod. */
  async stop(): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.exited;
    this.lost();
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<{ code: number | null; signal: string | null }> {
    if (!this.#process) throw new Error(`the node program on ${this.name} was not started by this process`);
    return this.#process.exited;
  }

  /** Forgets the process and connection (the guest lost its power). */
  lost(): void {
    this.#client?.close();
    this.#client = null;
    this.#process = null;
    this.#socket = null;
  }

  /** A client of the node's CSI services. */
  async csi(): Promise<CsiClient> {
    this.#client ??= new CsiClient((this.#socket ??= await this.guest.forwardUnix(GUEST_SOCKET)));
    return this.#client;
  }

  /** Where a volume is staged, and published, on every node. */
  stagingPath(volume: string): string {
    return `/var/lib/kubelet/plugins/kubernetes.io/csi/${volume}/globalmount`;
  }
  targetPath(volume: string): string {
    return `/var/lib/kubelet/pods/lab/volumes/kubernetes.io~csi/${volume}/mount`;
  }

  /** NodeStageVolume. @throws CsiError */
  async stage(volume: string, seconds = 180, volumeCapability: Capability = MOUNT_XFS): Promise<void> {
    await this.guest.sh(`mkdir -p ${this.stagingPath(volume)}`);
    await (await this.csi()).call(Node, Node.method.nodeStageVolume, { volumeId: volume, stagingTargetPath: this.stagingPath(volume), volumeCapability }, seconds * 1000);
  }

  /** NodeUnstageVolume. @throws CsiError */
  async unstage(volume: string, seconds = 120): Promise<void> {
    await (await this.csi()).call(Node, Node.method.nodeUnstageVolume, { volumeId: volume, stagingTargetPath: this.stagingPath(volume) }, seconds * 1000);
  }

  /** NodePublishVolume; returns the path inside the guest. @throws CsiError */
  async publish(volume: string, volumeCapability: Capability = MOUNT_XFS): Promise<string> {
    const targetPath = this.targetPath(volume);
    await this.guest.sh(`mkdir -p ${targetPath.replace(/\/mount$/, "")}`);
    await (await this.csi()).call(Node, Node.method.nodePublishVolume, { volumeId: volume, stagingTargetPath: this.stagingPath(volume), targetPath, volumeCapability });
    return targetPath;
  }

  /** NodeUnpublishVolume. @throws CsiError */
  async unpublish(volume: string): Promise<void> {
    await (await this.csi()).call(Node, Node.method.nodeUnpublishVolume, { volumeId: volume, targetPath: this.targetPath(volume) });
  }

  /** Stage and publish. Returns the path inside the guest. */
  async mount(volume: string, capability: Capability = MOUNT_XFS): Promise<string> {
    await this.stage(volume, 180, capability);
    return this.publish(volume, capability);
  }

  /** NodeExpandVolume, for what is published: resolves when it has grown. @throws CsiError */
  async expand(volume: string, bytes: number, seconds = 180): Promise<number> {
    const request = { volumeId: volume, volumePath: this.targetPath(volume), stagingTargetPath: this.stagingPath(volume), capacityRange: { requiredBytes: BigInt(bytes) } };
    const { capacityBytes } = await (await this.csi()).call(Node, Node.method.nodeExpandVolume, request, seconds * 1000);
    return Number(capacityBytes);
  }

  /** Unpublish and unstage. */
  async unmount(volume: string): Promise<void> {
    await this.unpublish(volume);
    await this.unstage(volume);
  }
}
