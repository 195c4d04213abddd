/** Progress of a run that takes longer than two seconds: one line that is rewritten on a terminal, a plain line every so often elsewhere. */
export class Progress {
  readonly #begun = performance.now();
  readonly #live = process.stderr.isTTY;
  #shown = performance.now();

  get seconds(): number {
    return (performance.now() - this.#begun) / 1_000;
  }

  /** Shows the line that `text` makes, if it is time to. */
  show(text: () => string): void {
    const now = performance.now();
    if (now - this.#shown < (this.#live ? 500 : 2_000) || now - this.#begun < 2_000) return;
    this.#shown = now;
    const line = `${this.seconds.toFixed(0)} s: ${text()}`;
    process.stderr.write(this.#live ? `\r\x1b[K${line.slice(0, (process.stderr.columns ?? 120) - 1)}` : `${line}\n`);
  }

  /** The line is no longer wanted. */
  close(): void {
    if (this.#live) process.stderr.write("\r\x1b[K");
  }
}
