/**
 * One host snapshot serves every volume that asks for one at about the same time. A look costs more with every volume
 * of the node, and every step of every volume asks for one: so one runs at a time, and all who ask meanwhile share the
 * one after it.
 */
import type { HostSnapshot } from "../core/observed.ts";

/** A look that takes longer than this hangs at something (Z4): the next one does not wait for its end. */
export const PATIENCE_MS = 500;

export class Snapshots {
  readonly #observe: () => Promise<HostSnapshot>;
  readonly #nowMs: () => number;
  #last: { startedMs: number; promise: Promise<HostSnapshot> } | null = null;
  /** Settles, and never fails, when the look that began last has ended; null when none runs. */
  #running: Promise<void> | null = null;
  /** The look that begins when the running one has ended. */
  #next: Promise<HostSnapshot> | null = null;

  constructor(observe: () => Promise<HostSnapshot>, nowMs: () => number) {
    this.#observe = observe;
    this.#nowMs = nowMs;
  }

  /** A snapshot whose taking began at most `maxAgeMs` ago; 0: not before this call. */
  get(maxAgeMs: number): Promise<HostSnapshot> {
    if (this.#last && this.#nowMs() - this.#last.startedMs < maxAgeMs) return this.#last.promise;
    if (this.#next === null && this.#running === null) return this.#begin();
    return (this.#next ??= this.#after(this.#running!));
  }

  /** What was seen so far, and what is being looked at now, is known to be out of date. */
  drop(): void {
    this.#last = null;
  }

  async #after(running: Promise<void>): Promise<HostSnapshot> {
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([running, new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE_MS)))]);
    clearTimeout(timer);
    this.#next = null;
    return this.#begin();
  }

  #begin(): Promise<HostSnapshot> {
    const promise = this.#observe();
    this.#last = { startedMs: this.#nowMs(), promise };
    const forget = (): void => {
      if (this.#last?.promise === promise) this.#last = null;
    };
    const running: Promise<void> = promise
      .then(() => {}, forget)
      .finally(() => {
        if (this.#running === running) this.#running = null;
      });
    this.#running = running;
    return promise;
  }
}
