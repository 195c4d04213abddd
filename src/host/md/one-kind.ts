/**
 * Work of one kind at a time: any number of the same kind side by side, none of two kinds. First come, first served, so that
 * no kind waits for ever while another one goes on and on.
 */
export class OneKind<Kind> {
  readonly #waiting: { readonly kind: Kind; readonly enter: () => void }[] = [];
  #running = 0;
  #kind: Kind | null = null;

  /** Runs `work` when nothing of another kind runs; its result or error is passed on. */
  async run<T>(kind: Kind, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((enter) => {
      this.#waiting.push({ kind, enter });
      this.#admit();
    });
    try {
      return await work();
    } finally {
      this.#running -= 1;
      this.#admit();
    }
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && (this.#running === 0 || next.kind === this.#kind); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#kind = next.kind;
      this.#running += 1;
      next.enter();
    }
  }
}
