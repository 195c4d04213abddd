/**
 * The other nodes as this one sees them: Node objects, and heartbeats judged by this program's own monotonic clock
 * (decision 0011). While the observation has a gap nobody is judged, and after it every age begins anew.
 */
import { NAMESPACE, nodeLeaseName } from "../api/names.ts";
import type { Logger } from "../base/log.ts";
import type { Peer, Peers } from "../core/judge.ts";
import type { KubeClient } from "../kube/client.ts";
import { Informer } from "../kube/informer.ts";
import { LeaseObserver } from "../kube/lease.ts";
import type { Lease, Node } from "../kube/resources.ts";
import { LEASES, NODES } from "../kube/resources.ts";

/** Somebody vouches that the machine does not run (Kubernetes, non-graceful node shutdown). */
export const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";
/**
 * Silence of the watch of leases that is a gap. This node's own lease alone changes every 10 s; the silence of a node must be
 * longer than such a gap and two heartbeats (core/bounds.ts, leaseGone).
 */
const GAP_MS = 20_000;
const LOOK_MS = 2_000;

/** Nodes with what is known of their heartbeats; `silentMs` of a lease, null if there is none. */
export function peersFrom(nodes: readonly Node[], silentMs: (leaseName: string) => number | null): ReadonlyMap<string, Peer> {
  return new Map(
    nodes.map(({ metadata, spec }) => [
      metadata.name,
      { nodeUID: metadata.uid ?? "", outOfService: (spec.taints ?? []).some((t) => t.key === OUT_OF_SERVICE), silentMs: silentMs(nodeLeaseName(metadata.name)) },
    ]),
  );
}

export class PeerWatch {
  readonly #nodes: Informer<Node>;
  readonly #leases: Informer<Lease>;
  readonly #observer: LeaseObserver;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: { client: KubeClient; log: Logger; nowMs: () => number }) {
    const { client, log, nowMs } = options;
    this.#observer = new LeaseObserver(nowMs);
    this.#nodes = new Informer<Node>({ client, type: NODES, log, onChange: () => {} });
    this.#leases = new Informer<Lease>({ client, type: LEASES, namespace: NAMESPACE, log, onChange: (name, lease) => this.#observer.observe(name, lease) });
  }

  start(): void {
    this.#nodes.start();
    this.#leases.start();
    // Also while nobody asks: a gap that has passed unseen would count as silence.
    this.#timer = setInterval(() => this.#hasGap(), LOOK_MS).unref();
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await Promise.all([this.#nodes.stop(), this.#leases.stop()]);
  }

  /** Null while nothing can be said. */
  peers(): Peers {
    if (this.#hasGap() || this.#nodes.ageMs() === Infinity) return null;
    return peersFrom(this.#nodes.list(), (name) => this.#observer.ageMs(name));
  }

  #hasGap(): boolean {
    const gap = this.#leases.ageMs() > GAP_MS;
    if (gap) this.#observer.restart();
    return gap;
  }
}
