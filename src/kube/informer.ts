/**
 * A local copy of all objects of a kind, kept by list and watch. For waking up and for showing; never for a fencing
 * decision, which needs a linearizable read (I2).
 *
 * - At rest there is no traffic but the watch, which the server ends in order every 45 s or so; it is then continued from
 *   where it was. A watch that ends in any other way, or before its time (a server that shuts down), is followed by a new
 *   list: after a restore of etcd the server takes a watch "from the future", and never sends an event.
 * - 410 lists again at once. Other failures wait: 0.25 s, doubling to 5 s, with jitter, at least Retry-After; an answer
 *   of 200 begins anew, unless the watches it opens keep breaking within a second.
 * - A watch that is silent beyond its time is dropped (half-open connection).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "../base/log.ts";
import type { ObjectMeta } from "../api/volume.ts";
import { KubeError, type KubeClient, type ResourceType, type WatchEvent } from "./client.ts";

/** Time and chance, so that tests need not wait for either. */
export interface InformerClock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Ends after this time, or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** From 0 to 1. */
  random(): number;
}

const REAL_CLOCK: InformerClock = {
  nowMs: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
  random: () => Math.random(),
};

export interface InformerOptions<T> {
  client: Pick<KubeClient, "list" | "watch">;
  type: ResourceType<T>;
  /** Called for every object that appeared or changed, and with null when it is gone; in order, one at a time. */
  onChange(name: string, object: T | null): void;
  log: Pick<Logger, "info" | "warn">;
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Time after which the server ends a watch; 45 s unless told. */
  watchSeconds?: number;
  /** Largest silence of a watch; 15 s more than `watchSeconds` unless told. */
  idleMs?: number;
  /** Largest wait between attempts; 5 s unless told. */
  maxBackoffMs?: number;
  clock?: InformerClock;
}

const BASE_BACKOFF_MS = 250;
const SHORT_LIVED_MS = 1000;
const EARLY_SPREAD_MS = 300;

/** All objects of a kind (of one namespace: the name is the key), as of a moment ago. */
export class Informer<T extends { metadata: ObjectMeta }> {
  /** Resolves with the first complete list; rejects only if the informer is stopped before it. */
  readonly synced: Promise<void>;
  readonly #options: InformerOptions<T>;
  readonly #clock: InformerClock;
  readonly #objects = new Map<string, T>();
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #settleSynced: { resolve(): void; reject(error: Error): void };
  /** Where the watch continues; empty when a list is needed. */
  #resourceVersion = "";
  #aliveAt: number | null = null;
  #failures = 0;
  #shortLived = 0;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? REAL_CLOCK;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.synced = promise;
    promise.catch(() => {});
    this.#settleSynced = { resolve, reject };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the watch; no callback comes after it has resolved. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#settleSynced.reject(new Error("the informer was stopped"));
    await this.#running;
  }

  get(name: string): T | undefined {
    return this.#objects.get(name);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /**
   * Milliseconds since the server last gave a sign of life on the list or the watch; Infinity before the first. At rest it
   * grows up to about a minute (bookmarks come about once a minute, a new watch every 45 s) with nothing amiss.
   */
  ageMs(): number {
    return this.#aliveAt === null ? Infinity : this.#clock.nowMs() - this.#aliveAt;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let lastMessage = "";
    while (!signal.aborted) {
      const begun = this.#clock.nowMs();
      let error: unknown = null;
      try {
        if (this.#resourceVersion === "") await this.#relist();
        const early = await this.#watch();
        if (early) this.#resourceVersion = "";
        // All who watched the server that shuts down come back: not in the same instant.
        if (early) await this.#clock.sleep(this.#clock.random() * EARLY_SPREAD_MS, signal);
        lastMessage = "";
      } catch (caught) {
        if (signal.aborted) break;
        error = caught;
        this.#resourceVersion = "";
        const message = caught instanceof Error ? caught.message : String(caught);
        if (message !== lastMessage) this.#options.log.warn("a watch failed; listing again", { resource: this.#options.type.plural, error: message });
        lastMessage = message;
      }
      const wait = this.#waitAfter(error, this.#clock.nowMs() - begun);
      if (wait > 0) await this.#clock.sleep(wait, signal);
    }
  }

  /** How long to wait before the next attempt. */
  #waitAfter(error: unknown, lastedMs: number): number {
    const expired = error instanceof KubeError && error.isExpired;
    this.#shortLived = lastedMs < SHORT_LIVED_MS ? this.#shortLived + 1 : 0;
    if (error !== null) this.#failures += 1;
    // At once after an orderly end or a 410, but not again and again.
    if ((error === null || expired) && this.#shortLived <= 1) return 0;
    const doublings = Math.max(this.#failures, this.#shortLived) - 1;
    const backoff = Math.min(this.#options.maxBackoffMs ?? 5000, BASE_BACKOFF_MS * 2 ** Math.min(doublings, 10));
    const retryAfter = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    return Math.max(backoff * (0.5 + this.#clock.random() / 2), retryAfter);
  }

  #alive(): void {
    this.#aliveAt = this.#clock.nowMs();
  }

  async #relist(): Promise<void> {
    const { client, type, namespace, labelSelector, fieldSelector } = this.#options;
    const { items, resourceVersion } = await client.list(type, { namespace, labelSelector, fieldSelector, signal: this.#stop.signal });
    if (this.#stop.signal.aborted) return;
    this.#alive();
    this.#failures = 0;
    const present = new Map(items.map((item) => [item.metadata.name, item]));
    for (const name of [...this.#objects.keys()]) if (!present.has(name)) this.#forget(name);
    for (const item of items) this.#take(item);
    this.#resourceVersion = resourceVersion;
    this.#settleSynced.resolve();
  }

  /** One watch; true if it ended in order, but before its time. */
  async #watch(): Promise<boolean> {
    const { client, type, namespace, labelSelector, fieldSelector } = this.#options;
    const watchSeconds = this.#options.watchSeconds ?? 45;
    // Spread, so that a thousand nodes do not come back in the same second.
    const timeoutSeconds = Math.max(1, Math.round(watchSeconds * (0.8 + this.#clock.random() / 5)));
    const begun = this.#clock.nowMs();
    await client.watch(type, {
      namespace,
      labelSelector,
      fieldSelector,
      resourceVersion: this.#resourceVersion,
      timeoutSeconds,
      idleMs: this.#options.idleMs ?? (watchSeconds + 15) * 1000,
      signal: this.#stop.signal,
      onOpen: () => {
        this.#alive();
        this.#failures = 0;
      },
      onEvent: (event) => this.#onEvent(event),
    });
    this.#alive();
    return this.#clock.nowMs() - begun < timeoutSeconds * 1000 - 500;
  }

  #onEvent(event: WatchEvent<T>): void {
    if (this.#stop.signal.aborted) return;
    this.#alive();
    if (event.type === "BOOKMARK") {
      this.#resourceVersion = event.resourceVersion;
      return;
    }
    if (event.type === "DELETED") this.#forget(event.object.metadata.name);
    else this.#take(event.object);
    this.#resourceVersion = event.object.metadata.resourceVersion!;
  }

  #take(object: T): void {
    const { name, uid, resourceVersion } = object.metadata;
    const old = this.#objects.get(name);
    // Deleted and made again under the same name between two lists: two changes, not one.
    if (old && old.metadata.uid !== uid) this.#forget(name);
    else if (old && old.metadata.resourceVersion === resourceVersion && isDeepStrictEqual(old, object)) return;
    this.#objects.set(name, object);
    this.#notify(name, object);
  }

  #forget(name: string): void {
    if (this.#objects.delete(name)) this.#notify(name, null);
  }

  #notify(name: string, object: T | null): void {
    const failed = (error: unknown): void => {
      this.#options.log.warn("a handler of changed objects failed", { resource: this.#options.type.plural, name, error });
    };
    try {
      const returned: unknown = this.#options.onChange(name, object);
      if (returned instanceof Promise) returned.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
