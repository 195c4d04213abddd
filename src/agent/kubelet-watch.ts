/**
 * A volume that its kubelet left behind (decision 0011): another node wants it, kubelet of this node is dead, and every pod that
 * it is published to is gone. Looked at only while somebody asks for the volume; at rest this costs nothing.
 */
import { asMeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { STAGED_DEVICE } from "../core/staged.ts";
import type { VolumeView } from "../core/view.ts";
import type { KubeClient } from "../kube/client.ts";
import { LeaseObserver } from "../kube/lease.ts";
import { KUBELET_LEASES, LEASES, PODS } from "../kube/resources.ts";

/** How often is looked while somebody asks. */
const LOOK_MS = 5_000;
/** A verdict that is older says nothing; nor does a lease that was not looked at for as long. */
const STALE_MS = 20_000;

export interface KubeletWatchDeps {
  client: Pick<KubeClient, "tryGet" | "list">;
  nodeName: string;
  log: Pick<Logger, "info" | "warn">;
  nowMs(): number;
  /** Kubelet's heartbeat, unchanged for longer, tells that it is dead. */
  goneMs: number;
  /** The verdict may have changed. */
  wake(volumeName: string): void;
}

interface Look {
  atMs: number;
  under: boolean;
  unattended: boolean;
}

export class KubeletWatch {
  readonly #deps: KubeletWatchDeps;
  readonly #looks = new Map<string, Look>();
  readonly #observer: LeaseObserver;
  #lookedMs: number | null = null;

  constructor(deps: KubeletWatchDeps) {
    this.#deps = deps;
    this.#observer = new LeaseObserver(() => deps.nowMs());
  }

  /** The last verdict; begins a look where one is due. Yes is said only of what was looked at lately. */
  unattended(view: VolumeView): boolean {
    const { nowMs } = this.#deps;
    if (!view.mine || view.status.handOver === undefined || view.status.handOver.epoch !== view.epoch) {
      this.#looks.delete(view.name);
      return false;
    }
    const look = this.#looks.get(view.name) ?? { atMs: -Infinity, under: false, unattended: false };
    if (!look.under && nowMs() - look.atMs >= LOOK_MS) {
      look.under = true;
      this.#looks.set(view.name, look);
      void this.#look(view, look);
    }
    return look.unattended && nowMs() - look.atMs < STALE_MS;
  }

  async #look(view: VolumeView, look: Look): Promise<void> {
    const { log, nowMs, nodeName, wake } = this.#deps;
    const before = look.unattended;
    look.unattended = await this.#isLeft(view).catch((error: unknown) => {
      log.warn("whether kubelet is alive cannot be looked at", { volume: view.name, error: asMeshStorError(error).message });
      return false;
    });
    look.atMs = nowMs();
    look.under = false;
    if (look.unattended && !before) log.info("kubelet of this node is dead, and no pod of the volume is left: it is given up when asked", { volume: view.name, node: nodeName });
    setTimeout(() => wake(view.name), look.unattended ? 0 : LOOK_MS).unref();
  }

  async #isLeft(view: VolumeView): Promise<boolean> {
    const silentMs = await this.#silentMs();
    if (silentMs === null || silentMs < this.#deps.goneMs) return false;
    return !(await this.#isUsed(view));
  }

  /** For how long kubelet's heartbeat has not changed, as far as it was looked at without a gap; null: there is none. */
  async #silentMs(): Promise<number | null> {
    const { client, nodeName, nowMs } = this.#deps;
    const lease = await client.tryGet(LEASES, nodeName, { namespace: KUBELET_LEASES, timeoutMs: LOOK_MS });
    if (this.#lookedMs === null || nowMs() - this.#lookedMs > STALE_MS) this.#observer.restart();
    this.#lookedMs = nowMs();
    this.#observer.observe(nodeName, lease);
    return this.#observer.ageMs(nodeName);
  }

  /** Somebody may use it: a pod that the API server still knows, or a mount of which nobody knows whose it is. */
  async #isUsed(view: VolumeView): Promise<boolean> {
    const { client, nodeName } = this.#deps;
    const published = view.mounts.map((m) => m.target).filter((target) => !isStaging(target));
    if (published.length === 0) return false;
    const { items } = await client.list(PODS, { fieldSelector: `spec.nodeName=${nodeName}`, timeoutMs: LOOK_MS });
    const known = new Set(items.map((pod) => pod.metadata.uid));
    return published.some((target) => {
      const uid = podOf(target);
      return uid === null || known.has(uid);
    });
  }
}

/** kubelet's staging directory of a volume (pkg/volume/csi/csi_attacher.go, makeDeviceMountPath). */
function isStaging(target: string): boolean {
  return target.endsWith("/globalmount") || target.endsWith(`/${STAGED_DEVICE}`);
}

/**
 * UID of the pod that a path is published to; null if it is none of kubelet's. Mounts (pkg/kubelet/config,
 * DefaultKubeletPodsDirName); raw devices as published, and as kubelet binds them again (pkg/volume/csi/csi_block.go).
 */
export function podOf(target: string): string | null {
  const device = /\/volumeDevices\/(?:publish\/[^/]+|[^/]+\/dev)\/([^/]+)$/.exec(target)?.[1];
  return device ?? /\/pods\/([^/]+)\/volumes\//.exec(target)?.[1] ?? null;
}
