/** Calls that wait for a volume to change, and the loop's knowledge that somebody does. */

/** Wakes those who wait for a name, and knows which names calls work on. */
export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #calls = new Map<string, { running: number; lastMs: number }>();
  readonly #nowMs: () => number;

  /** @param nowMs monotonic milliseconds. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Called when the volume of this name changed. */
  wake(name: string): void {
    const woken = this.#waiting.get(name);
    this.#waiting.delete(name);
    for (const resume of woken ?? []) resume();
  }

  /** Resolves at the next change of the name, after `ms` at the latest; rejects with the signal's reason. */
  change(name: string, ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const set = this.#waiting.get(name) ?? new Set();
      this.#waiting.set(name, set);
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        set.delete(resume);
        if (set.size === 0 && this.#waiting.get(name) === set) this.#waiting.delete(name);
      };
      const resume = () => {
        end();
        resolve();
      };
      const abort = () => {
        end();
        reject(signal.reason as Error);
      };
      const timer = setTimeout(resume, ms);
      set.add(resume);
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    });
  }

  /** Runs `work` while the name counts as waited for. */
  async during<T>(name: string, work: () => Promise<T>): Promise<T> {
    const call = this.#calls.get(name) ?? { running: 0, lastMs: 0 };
    this.#calls.set(name, call);
    call.running += 1;
    try {
      return await work();
    } finally {
      call.running -= 1;
      call.lastMs = this.#nowMs();
    }
  }

  /** True while a call works on this name. */
  isWaitedFor(name: string): boolean {
    return (this.#calls.get(name)?.running ?? 0) > 0;
  }

  /** When the last call on this name ended, or null if there was none. */
  lastCallMs(name: string): number | null {
    return this.#calls.get(name)?.lastMs ?? null;
  }

  /** The volume is gone: nothing of it need be remembered. */
  forget(name: string): void {
    if (!this.isWaitedFor(name)) this.#calls.delete(name);
  }
}
