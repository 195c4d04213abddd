/**
 * One leader among several programs, by a Lease. No clocks are compared: a candidate takes the lease over once it has itself
 * seen the same lease for longer than a leader goes on without a renewal; the leader stops leading before that.
 * It keeps order, not safety: what must not be done twice is a compare-and-swap anyway.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { MeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { type KubeClient, KubeError } from "./client.ts";
import { microTime } from "./lease.ts";
import { LEASES, type Lease } from "./resources.ts";

export interface ElectionOptions {
  client: Pick<KubeClient, "tryGet" | "create" | "replace">;
  /** Name of the Lease. */
  name: string;
  namespace: string;
  /** Never that of another candidate, nor of an earlier process. */
  identity: string;
  log: Pick<Logger, "info" | "warn">;
  /** Aborted to stand for election no longer, and to give leadership up. */
  signal: AbortSignal;
  /** Called whenever the API server has answered about the lease. */
  onAnswer?: () => void;
  times?: ElectionTimes;
}
export interface ElectionTimes {
  /** Between two looks or renewals. */
  everyMs: number;
  /** A leader whose last renewal began longer ago leads no longer. */
  leadsMs: number;
  /** A lease that was seen unchanged for longer may be taken. */
  takenMs: number;
}
export const ELECTION_TIMES: ElectionTimes = { everyMs: 5_000, leadsMs: 12_000, takenMs: 20_000 };

export interface Leadership {
  /** Rejects when leadership is lost; never while it lasts. */
  readonly lost: Promise<never>;
  /** Resolves when it is given up, after the signal was aborted. */
  readonly ended: Promise<void>;
}

/** Waits until this program leads. @throws the signal's reason if it is aborted first */
export async function lead(options: ElectionOptions): Promise<Leadership> {
  const times = options.times ?? ELECTION_TIMES;
  const candidate = new Candidate(options, times);
  for (let said = false; ; said = true) {
    const begun = performance.now();
    if (await candidate.stand()) return keep(options, times, candidate, begun);
    if (!said) options.log.info("this controller stands by", { lease: options.name, leader: candidate.leader });
    await sleep(times.everyMs, undefined, { signal: options.signal }).catch(() => options.signal.throwIfAborted());
  }
}

/** Renews until it fails for too long, another one holds the lease, or the signal aborts. */
function keep(options: ElectionOptions, times: ElectionTimes, candidate: Candidate, begun: number): Leadership {
  const { signal, log, name } = options;
  log.info("this controller leads", { lease: name });
  const { promise: lost, reject } = Promise.withResolvers<never>();
  lost.catch(() => {}); // Whoever waits for it hears of it.
  const run = async () => {
    for (let renewed = begun; ;) {
      await sleep(times.everyMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return candidate.giveUp();
      const at = performance.now();
      const holds = await candidate.renew(renewed + times.leadsMs - at);
      if (holds === true) renewed = at;
      const late = performance.now() - renewed >= times.leadsMs;
      if (holds === false || late) {
        const why = holds === false ? `${candidate.leader} holds the lease ${name}` : `the lease ${name} could not be renewed for ${times.leadsMs / 1000} s`;
        return reject(new MeshStorError("ApiUnavailable", `this controller leads no longer: ${why}`));
      }
    }
  };
  return { lost, ended: run() };
}

class Candidate {
  readonly #options: ElectionOptions;
  readonly #times: ElectionTimes;
  /** As it was read or written last. */
  #lease: Lease | null = null;
  #unchangedSince = 0;
  /** What goes wrong is said once. */
  #failing = false;

  constructor(options: ElectionOptions, times: ElectionTimes) {
    this.#options = options;
    this.#times = times;
  }

  get leader(): string {
    return this.#lease?.spec.holderIdentity ?? "nobody";
  }

  /** One look; true if the lease is this program's now. */
  async stand(): Promise<boolean> {
    const { client, name, namespace, log, signal } = this.#options;
    try {
      const seen = await client.tryGet(LEASES, name, { namespace, signal, timeoutMs: this.#times.everyMs });
      this.#answered();
      const now = performance.now();
      if (seen?.metadata.resourceVersion !== this.#lease?.metadata.resourceVersion || this.#lease === null) this.#unchangedSince = now;
      this.#lease = seen;
      const { identity } = this.#options;
      const holder = seen?.spec.holderIdentity ?? "";
      // Its own name stands there where a write was in doubt and landed.
      const free = holder === "" || holder === identity || now - this.#unchangedSince > this.#times.takenMs;
      if (!free) return false;
      this.#lease = await this.#write(seen, identity, this.#times.everyMs);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      // Somebody else was faster.
      if (error instanceof KubeError && (error.isConflict || error.isAlreadyExists)) return false;
      if (!this.#failing) log.warn("it cannot be looked who leads", { lease: name, error });
      this.#failing = true;
      return false;
    }
  }

  /** True: renewed. False: another one has it. Null: not known. */
  async renew(withinMs: number): Promise<boolean | null> {
    const { client, name, namespace, identity, log } = this.#options;
    const timeoutMs = Math.max(1, Math.min(this.#times.everyMs, withinMs));
    try {
      this.#lease ??= await client.tryGet(LEASES, name, { namespace, timeoutMs });
      if (this.#lease !== null && this.#lease.spec.holderIdentity !== identity) return false;
      this.#lease = await this.#write(this.#lease, identity, timeoutMs);
      this.#answered();
      return true;
    } catch (error) {
      if (!this.#failing) log.warn("the controller's lease cannot be renewed", { lease: name, error });
      this.#failing = true;
      this.#lease = null; // Read it again next time.
      return null;
    }
  }

  #answered(): void {
    this.#failing = false;
    this.#options.onAnswer?.();
  }

  /** The next one need not wait. */
  async giveUp(): Promise<void> {
    const lease = this.#lease;
    if (lease === null) return;
    await this.#write(lease, "", 2_000).catch((error: unknown) => this.#options.log.warn("the controller's lease was not given up", { error }));
  }

  #write(lease: Lease | null, holderIdentity: string, timeoutMs: number): Promise<Lease> {
    const { client, name, namespace } = this.#options;
    const now = microTime(new Date());
    const taken = lease?.spec.holderIdentity !== holderIdentity;
    const spec = {
      ...lease?.spec,
      holderIdentity,
      leaseDurationSeconds: Math.ceil(this.#times.takenMs / 1000),
      renewTime: now,
      ...(taken && { acquireTime: now, leaseTransitions: (lease?.spec.leaseTransitions ?? -1) + 1 }),
    };
    if (lease === null) return client.create(LEASES, { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name, namespace }, spec }, { timeoutMs });
    return client.replace(LEASES, { ...lease, spec }, { timeoutMs });
  }
}
