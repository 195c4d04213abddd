/**
 * What a run shows while it runs: a line that is rewritten on a terminal; elsewhere (CI) a line every
 * half minute, so that a log never looks dead. Lines that stay are printed through `say`.
 */
import { seconds } from "./stage.ts";

const QUIET_MS = 30_000;

export class Progress {
  readonly #started = performance.now();
  readonly #active = new Map<string, { since: number; doing: string }>();
  readonly #live = process.stdout.isTTY;
  readonly #timer: NodeJS.Timeout;
  #done = 0;
  #total = 0;
  #lastShown = performance.now();

  constructor() {
    this.#timer = setInterval(() => this.#show(), this.#live ? 500 : 5_000);
    this.#timer.unref();
  }

  get elapsedMs(): number {
    return performance.now() - this.#started;
  }

  /** How many parts there are in all, for "3/17". */
  expect(total: number): void {
    this.#total += total;
  }

  begin(name: string): void {
    this.#active.set(name, { since: performance.now(), doing: "" });
  }

  /** The newest line that a running part printed. */
  doing(name: string, line: string): void {
    const part = this.#active.get(name);
    if (part && line.trim() !== "") part.doing = line.trim();
  }

  end(name: string): void {
    this.#active.delete(name);
    this.#done += 1;
  }

  /** Prints lines that stay. */
  say(text: string): void {
    if (this.#live) process.stdout.write("\r\x1b[K");
    process.stdout.write(`${text}\n`);
    this.#lastShown = performance.now();
  }

  close(): void {
    clearInterval(this.#timer);
    if (this.#live) process.stdout.write("\r\x1b[K");
  }

  #show(): void {
    const now = performance.now();
    if (this.#active.size === 0 || (!this.#live && now - this.#lastShown < QUIET_MS)) return;
    const parts = [...this.#active].map(([name, { since, doing }]) => `${name} ${seconds(now - since)}${doing === "" ? "" : `: ${doing}`}`);
    const line = `[${seconds(this.elapsedMs)}] ${this.#done}/${this.#total}  ${parts.join("  |  ")}`;
    if (this.#live) process.stdout.write(`\r\x1b[K${line.slice(0, (process.stdout.columns ?? 120) - 1)}`);
    else this.say(line);
  }
}
