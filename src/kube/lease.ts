/**
 * Leases: a node renews its own, others judge its age. No clock is compared with another machine's: the observer measures,
 * on its own monotonic clock, how long ago it last saw the lease change; the times inside are for people.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../base/log.ts";
import { NAMESPACE } from "../api/names.ts";
import { KubeError, type KubeClient } from "./client.ts";
import { LEASES, type Lease } from "./resources.ts";

export const LEASE_INTERVAL_MS = 10_000;

export interface LeaseRenewerOptions {
  client: KubeClient;
  /** Name of the Lease (nodeLeaseName). */
  name: string;
  /** Who renews, for example the node's boot id: a change counts as a transition. */
  holder: string;
  namespace?: string;
  intervalMs?: number;
  log: Pick<Logger, "info" | "warn">;
}

/** Renews one Lease: one write every 10 s and no read while nobody else touches it. */
export class LeaseRenewer {
  readonly #options: LeaseRenewerOptions;
  readonly #namespace: string;
  readonly #intervalMs: number;
  readonly #stop = new AbortController();
  #lease: Lease | null = null;
  #running: Promise<void> | null = null;
  #renewedAt: number | null = null;

  constructor(options: LeaseRenewerOptions) {
    this.#options = options;
    this.#namespace = options.namespace ?? NAMESPACE;
    this.#intervalMs = options.intervalMs ?? LEASE_INTERVAL_MS;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Milliseconds since the start of the last renewal that the server confirmed; Infinity if there was none. */
  ageMs(): number {
    return this.#renewedAt === null ? Infinity : performance.now() - this.#renewedAt;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let failing = false;
    while (!signal.aborted) {
      const begun = performance.now();
      try {
        await this.renew();
        if (failing) this.#options.log.info("the node's lease is renewed again", { lease: this.#options.name });
        failing = false;
      } catch (error) {
        if (!failing && !signal.aborted) this.#options.log.warn("the node's lease cannot be renewed", { lease: this.#options.name, error });
        failing = true;
      }
      const wait = failing ? Math.min(2000, this.#intervalMs) : this.#intervalMs - (performance.now() - begun);
      await sleep(Math.max(0, wait) * (failing ? 0.5 + Math.random() / 2 : 1), undefined, { signal }).catch(() => {});
    }
  }

  /** One renewal now. */
  async renew(): Promise<void> {
    const begun = performance.now();
    try {
      this.#lease = await this.#write();
    } catch (error) {
      // Whatever went wrong, the next renewal begins with a read.
      this.#lease = null;
      if (!(error instanceof KubeError) || !(error.isConflict || error.isNotFound || error.isAlreadyExists)) throw error;
      this.#lease = await this.#write();
    }
    this.#renewedAt = begun;
  }

  async #write(): Promise<Lease> {
    const { client, name, holder } = this.#options;
    const timing = { namespace: this.#namespace, signal: this.#stop.signal, timeoutMs: this.#intervalMs };
    const now = microTime(new Date());
    const old = this.#lease ?? (await client.tryGet(LEASES, name, timing));
    if (old === null) {
      const spec = { holderIdentity: holder, leaseDurationSeconds: Math.ceil((this.#intervalMs * 4) / 1000), acquireTime: now, renewTime: now, leaseTransitions: 0 };
      return client.create(LEASES, { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name, namespace: this.#namespace }, spec }, timing);
    }
    const taken = old.spec.holderIdentity !== holder;
    const spec = { ...old.spec, renewTime: now, ...(taken && { holderIdentity: holder, acquireTime: now, leaseTransitions: (old.spec.leaseTransitions ?? 0) + 1 }) };
    return client.replace(LEASES, { ...old, spec }, timing);
  }
}

/** Kubernetes' MicroTime. */
export function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}

/**
 * The ages of other nodes' leases. Fed from an informer; call `restart` whenever the observation had a gap (the informer
 * was stale), because a lease that nobody could renew or see is no older for it.
 */
export class LeaseObserver {
  readonly #now: () => number;
  readonly #seen = new Map<string, { mark: string; changedAt: number }>();
  #since: number;

  /** @param now monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#since = now();
  }

  /** Takes in what the informer shows of one lease; null once it is deleted. */
  observe(name: string, lease: Lease | null): void {
    if (lease === null) {
      this.#seen.delete(name);
      return;
    }
    const mark = JSON.stringify([lease.metadata.uid, lease.spec.holderIdentity, lease.spec.renewTime]);
    if (this.#seen.get(name)?.mark !== mark) this.#seen.set(name, { mark, changedAt: this.#now() });
  }

  /** Every age begins anew: called after a gap in the observation. */
  restart(): void {
    this.#since = this.#now();
  }

  /** Milliseconds for which the lease has been watched without a change; null if there is no such lease. */
  ageMs(name: string): number | null {
    const seen = this.#seen.get(name);
    return seen === undefined ? null : this.#now() - Math.max(seen.changedAt, this.#since);
  }
}
