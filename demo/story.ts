/** How the demo speaks: chapters, steps with their time, checks that count, plain lines when not on a terminal. */
import { styleText } from "node:util";

const tty = process.stdout.isTTY;

export class Story {
  readonly #begun = Date.now();
  #checks = 0;
  #failed = 0;

  chapter(title: string): void {
    process.stdout.write(`\n${this.#style("bold", `== ${title}`)}\n`);
  }

  note(line: string): void {
    process.stdout.write(`   ${this.#style("dim", line)}\n`);
  }

  figure(name: string, value: string): void {
    process.stdout.write(`   ${name}: ${this.#style("bold", value)}\n`);
  }

  /** Runs a step; says what runs while it runs, and how long it took. */
  async step<T>(what: string, run: () => Promise<T>): Promise<T> {
    const begun = Date.now();
    const tick = setInterval(() => this.#progress(what, begun), tty ? 200 : 15_000);
    try {
      const result = await run();
      clearInterval(tick);
      this.#line(`   ok  ${what} (${seconds(begun)})`);
      return result;
    } catch (error) {
      clearInterval(tick);
      this.#line(`   ${this.#style("red", "FAILED")}  ${what} (${seconds(begun)})`);
      throw error;
    }
  }

  /** Shows a command and what it really printed. */
  async show(command: string, run: () => Promise<string>): Promise<void> {
    const output = await run();
    process.stdout.write(`   ${this.#style("cyan", `$ ${command}`)}\n${output.trimEnd().replace(/^/gm, "   ")}\n`);
  }

  /** A verified fact; a false one makes the demo fail at its end. */
  check(fact: string, holds: boolean): void {
    this.#checks += 1;
    if (!holds) this.#failed += 1;
    this.#line(holds ? `   ok  ${fact}` : `   ${this.#style("red", "MISMATCH")}  ${fact}`);
  }

  end(): void {
    process.stdout.write(`\n${this.#checks - this.#failed} of ${this.#checks} facts verified in ${seconds(this.#begun)}\n`);
    process.exit(this.#failed > 0 ? 1 : 0);
  }

  fail(error: unknown): void {
    process.stdout.write(`\n${this.#style("red", "the demo failed")}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }

  #progress(what: string, begun: number): void {
    if (tty) process.stdout.write(`\r   …   ${what} (${seconds(begun)})`);
    else process.stdout.write(`   …   ${what} (${seconds(begun)})\n`);
  }

  #line(text: string): void {
    process.stdout.write(tty ? `\r\u001b[K${text}\n` : `${text}\n`);
  }

  #style(format: "bold" | "dim" | "red" | "cyan", text: string): string {
    return tty ? styleText(format, text) : text;
  }
}

function seconds(begun: number): string {
  return `${((Date.now() - begun) / 1000).toFixed(1)} s`;
}
