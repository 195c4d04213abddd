/**
 * A guest that is a Kubernetes node: containerd and kubelet run in it, with their state on a disk that outlives
 * power cuts. The guest has the root "kubernetes-node" and `persist`.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { ensureToolsImage } from "../../tools/setup/tools-image.ts";
import type { Lab } from "../cluster.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import type { Guest, GuestProcess } from "../guest/guest.ts";
import { HOST } from "../net/network.ts";
import { eventually } from "../world/wait.ts";
import { cniConfig, containerdConfig, kubeletConfig, nftRules } from "./node-files.ts";

const KUBECONFIG = "/etc/kubernetes/kubelet.kubeconfig";

/** Disk for images, containers and kubelet's own files; sparse. */
const STATE_SIZE = "8G";

/** Makes (once) and mounts the disk of the node's state; kubelet's mounts must be seen by everybody. */
const MOUNT_STATE = `
disk=/var/lib/lab/node-state.img
[ -e $disk ] || { truncate -s ${STATE_SIZE} $disk.new; mkfs.ext4 -q -E lazy_itable_init=1 $disk.new; mv $disk.new $disk; }
mkdir -p /var/lib/node-state
mount -o loop $disk /var/lib/node-state
for name in containerd kubelet; do
  mkdir -p /var/lib/node-state/$name /var/lib/$name
  mount --bind /var/lib/node-state/$name /var/lib/$name
done
# Each in a group of its own: what is mounted in kubelet's folder shall not appear in /var/lib/node-state as well.
mount --make-rprivate /
mount --make-rshared /
mkdir -p /etc/containerd /etc/cni/net.d /etc/kubernetes
sysctl -qw net.ipv4.ip_forward=1
# A route for services, so that the kernel comes as far as the table that leads them elsewhere.
ip route replace 10.96.0.0/16 dev eth0
# kubelet does not start unless the processor says its clock; that of a process guest has none.
if ! grep -q '^cpu MHz' /proc/cpuinfo; then
  { echo "cpu MHz : 1000.000"; cat /proc/cpuinfo; } >/run/lab/cpuinfo
  mount --bind /run/lab/cpuinfo /proc/cpuinfo
fi
`;

/**
 * Starts kubelet. It does not start without two settings of keyrings, which a process guest's kernel does not have: it gets
 * a look-alike of /proc/sys/kernel with them, in a mount namespace of its own. What it mounts elsewhere is seen by everybody.
 */
const RUN_KUBELET = `
if [ -e /proc/sys/kernel/keys ]; then exec kubelet "$@"; fi
mkdir -p /run/lab/sys-kernel/keys
echo 1000000 >/run/lab/sys-kernel/keys/root_maxkeys
echo 25000000 >/run/lab/sys-kernel/keys/root_maxbytes
exec unshare --mount --propagation unchanged sh -euc '
mount --make-private /proc
mount --make-private /run
cd /proc/sys/kernel
for name in *; do
  if [ -d "$name" ]; then mkdir -p "/run/lab/sys-kernel/$name"; else : >"/run/lab/sys-kernel/$name"; fi
  mount --bind "$name" "/run/lab/sys-kernel/$name"
done
mount --rbind /run/lab/sys-kernel /proc/sys/kernel
cd /
exec kubelet "$@"' kubelet "$@"
`;

/** See the module's comment. */
export class KubernetesNode {
  readonly guest: Guest;
  readonly #lab: Lab;
  readonly #plane: ControlPlane;
  #kubelet: GuestProcess | null = null;

  constructor(lab: Lab, plane: ControlPlane, guest: Guest) {
    this.#lab = lab;
    this.#plane = plane;
    this.guest = guest;
  }

  get name(): string {
    return this.guest.name;
  }

  logPath(program: "containerd" | "kubelet"): string {
    return join(this.#lab.logDir, `${this.name}.${program}.log`);
  }

  /** After every power-on: the node's disk, containerd with the lab's image, kubelet. Resolves once the node is Ready. */
  async start(images: readonly string[] = []): Promise<void> {
    await this.guest.sh(MOUNT_STATE, { timeoutMs: 120_000 });
    await this.#writeFiles();
    await this.startContainerd();
    const { image = "" } = await ensureToolsImage();
    for (const path of [image, ...images]) await this.#import(path);
    await this.startKubelet();
    await this.ready();
  }

  /** Starts containerd; resolves once it answers. */
  async startContainerd(): Promise<void> {
    await this.#spawn("containerd", ["containerd", "--log-level", "warn"]);
    await eventually(`containerd on ${this.name} answers`, 60, async () => {
      const { code, stderr } = await this.guest.exec(["ctr", "--namespace=k8s.io", "--timeout=5s", "version"], { okCodes: "any" });
      return code === 0 || stderr.trim();
    });
  }

  /** Starts kubelet and does not wait. */
  async startKubelet(): Promise<void> {
    const { ipv4 } = this.#lab.net.addresses(this.name);
    const flags = ["--config=/etc/kubernetes/kubelet.yaml", `--kubeconfig=${KUBECONFIG}`, `--hostname-override=${this.name}`, `--node-ip=${ipv4}`, "--v=2"];
    const kubelet = await this.#spawn("kubelet", ["sh", "-euc", RUN_KUBELET, "kubelet", ...flags]);
    this.#kubelet = kubelet;
    void kubelet.exited.then(() => (this.#kubelet === kubelet ? (this.#kubelet = null) : null));
  }

  /** SIGTERM for kubelet alone: pods go on. */
  async stopKubelet(): Promise<void> {
    this.#kubelet?.kill("SIGTERM");
    await this.#kubelet?.exited;
    this.#kubelet = null;
  }

  /** Forgets its processes: the guest lost its power. */
  lost(): void {
    this.#kubelet = null;
  }

  /**
   * Waits until the API server has the node's own word that it is ready.
   * @throws Error with the end of kubelet's log when it ends instead.
   */
  async ready(seconds = 90): Promise<void> {
    const jsonpath = '{range .status.conditions[?(@.type=="Ready")]}{.status} {.reason} {.message}{end}';
    await eventually(`node ${this.name} is ready, or its kubelet has ended`, seconds, async () => {
      if (this.#kubelet === null) return true;
      // A kubelet that has just been started has not spoken yet: what the API server has is its predecessor's word.
      const health = await this.guest.exec(["busybox", "wget", "-qO-", "http://127.0.0.1:10248/healthz"], { okCodes: "any" });
      if (health.stdout !== "ok") return `kubelet's health: ${health.stdout || health.stderr.trim()}`;
      const { stdout } = await this.#plane.kubectl(["get", "node", this.name, `--output=jsonpath=${jsonpath}`]);
      return stdout.startsWith("True KubeletReady") || stdout;
    });
    if (this.#kubelet !== null) return;
    const tail = readFileSync(this.logPath("kubelet"), "utf8").split("\n").slice(-5).join("\n");
    throw new Error(`kubelet on ${this.name} ended: ${tail}`);
  }

  /** Puts an image (a tar on the host) into containerd unless it is there. */
  async #import(hostPath: string): Promise<void> {
    const shared = this.#lab.share(`image-${hostPath.replaceAll(/[^\w.-]+/g, "-").slice(-80)}`, hostPath);
    await this.guest.exec(["ctr", "--namespace=k8s.io", "images", "import", "--local", shared], { timeoutMs: 300_000 });
  }

  async #writeFiles(): Promise<void> {
    const { ipv4 } = this.#lab.net.addresses(HOST);
    const index = this.#lab.names.indexOf(this.name) + 1;
    const kubeconfig = readFileSync(await this.#plane.kubeconfigFor(`system:node:${this.name}`, ["system:nodes"]), "utf8");
    await this.guest.writeFile("/etc/containerd/config.toml", containerdConfig());
    await this.guest.writeFile("/etc/cni/net.d/10-lab.conflist", cniConfig(index));
    await this.guest.writeFile("/etc/kubernetes/kubelet.yaml", kubeletConfig());
    await this.guest.writeFile(KUBECONFIG, kubeconfig, 0o600);
    await this.guest.exec(["nft", "-f", "-"], { stdin: nftRules(ipv4, 6443) });
  }

  async #spawn(program: "containerd" | "kubelet", argv: readonly string[]): Promise<GuestProcess> {
    appendFileSync(this.logPath(program), "--- start\n");
    return this.guest.spawn(argv, { logPath: this.logPath(program) });
  }
}
