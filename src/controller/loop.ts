/** Passes over names, one at a time: soon after a name is woken, and over all names every now and then. */

export interface LoopOptions {
  /** Every name that there is. */
  names(): string[];
  pass(name: string, signal: AbortSignal): Promise<void>;
  onError(name: string, error: unknown): void;
  /** Between two passes over everything. */
  everyMs: number;
  /** After a pass that failed. */
  retryMs: number;
}

export class Loop {
  readonly #options: LoopOptions;
  readonly #due = new Set<string>();
  readonly #stop = new AbortController();
  readonly #retries = new Set<NodeJS.Timeout>();
  #tick: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  start(): void {
    this.#tick = setInterval(() => this.#wakeAll(), this.#options.everyMs);
    this.#wakeAll();
  }

  wake(name: string): void {
    if (this.#stop.signal.aborted) return;
    this.#due.add(name);
    this.#running ??= this.#run();
  }

  /** No more passes; resolves when the running one has ended. */
  async stop(): Promise<void> {
    this.#stop.abort();
    if (this.#tick) clearInterval(this.#tick);
    for (const timer of this.#retries) clearTimeout(timer);
    await this.#running;
  }

  #wakeAll(): void {
    for (const name of this.#options.names()) this.wake(name);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    // Begins after the caller has finished what made the name due.
    await Promise.resolve();
    for (const name of this.#due) {
      if (signal.aborted) break;
      this.#due.delete(name);
      try {
        await this.#options.pass(name, signal);
      } catch (error) {
        if (signal.aborted) break;
        this.#options.onError(name, error);
        this.#retry(name);
      }
    }
    this.#running = null;
    if (!signal.aborted && this.#due.size > 0) this.#running = this.#run();
  }

  #retry(name: string): void {
    const timer = setTimeout(() => {
      this.#retries.delete(timer);
      this.wake(name);
    }, this.#options.retryMs);
    this.#retries.add(timer);
  }
}
