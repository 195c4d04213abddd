/** One host snapshot serves every volume that asks for one at about the same time. */
import type { HostSnapshot } from "../core/observed.ts";

export class Snapshots {
  readonly #observe: () => Promise<HostSnapshot>;
  #last: { startedMs: number; promise: Promise<HostSnapshot> } | null = null;
  readonly #nowMs: () => number;

  constructor(observe: () => Promise<HostSnapshot>, nowMs: () => number) {
    this.#observe = observe;
    this.#nowMs = nowMs;
  }

  /** A snapshot whose taking began at most `maxAgeMs` ago; 0 always takes a new one. */
  get(maxAgeMs: number): Promise<HostSnapshot> {
    const now = this.#nowMs();
    if (this.#last && now - this.#last.startedMs < maxAgeMs) return this.#last.promise;
    const promise = this.#observe();
    this.#last = { startedMs: now, promise };
    promise.catch(() => {
      if (this.#last?.promise === promise) this.#last = null;
    });
    return promise;
  }

  /** What was seen so far is known to be out of date: the next caller gets a new one. */
  drop(): void {
    this.#last = null;
  }
}
