/** Keys waiting for work: each at most once, one run a key at a time, a bounded number side by side. */

export interface WorkQueueOptions {
  concurrency: number;
  run(key: string): Promise<void>;
  onError(key: string, error: unknown): void;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #ready = new Set<string>();
  readonly #running = new Set<string>();
  readonly #timers = new Map<string, { at: number; timer: NodeJS.Timeout }>();
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Runs the key soon; a key that runs now is run once more after. */
  add(key: string): void {
    if (this.#stopped) return;
    this.#cancelTimer(key);
    this.#ready.add(key);
    this.#pump();
  }

  /** Runs the key after `delayMs`, or sooner if it is asked for sooner. */
  addAfter(key: string, delayMs: number): void {
    if (this.#stopped) return;
    const at = Date.now() + delayMs;
    const pending = this.#timers.get(key);
    if (pending && pending.at <= at) return;
    this.#cancelTimer(key);
    this.#timers.set(key, { at, timer: setTimeout(() => this.add(key), delayMs) });
  }

  /** No new runs; resolves when the running ones have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const key of [...this.#timers.keys()]) this.#cancelTimer(key);
    this.#ready.clear();
    while (this.#running.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  #cancelTimer(key: string): void {
    const pending = this.#timers.get(key);
    if (pending) clearTimeout(pending.timer);
    this.#timers.delete(key);
  }

  #pump(): void {
    for (const key of this.#ready) {
      if (this.#running.size >= this.#options.concurrency) return;
      if (this.#running.has(key)) continue;
      this.#ready.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#options.run(key);
    } catch (error) {
      this.#options.onError(key, error);
    } finally {
      this.#running.delete(key);
      if (!this.#stopped) this.#pump();
    }
  }
}
