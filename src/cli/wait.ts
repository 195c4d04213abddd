/** Waiting for a wish to come true, and saying meanwhile what is waited for and who does it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { MeshStorVolume } from "../api/volume.ts";
import { asMeshStorError, MeshStorError } from "../base/errors.ts";
import { sentenceOf } from "../core/sentence.ts";
import type { Context } from "./context.ts";

const LOOK_MS = 1_000;
/** Where no line can be written anew, progress alone is said this often. */
const PROGRESS_MS = 10_000;

export interface Look {
  done: boolean;
  /** How far it is, one line. */
  line: string;
}

/** Looks every second until it is done. @throws MeshStorError Waiting at the deadline, with the last line */
export async function waitFor(context: Context, what: string, timeoutMs: number, look: () => Promise<Look>): Promise<void> {
  const progress = new Progress(context);
  const end = context.now() + timeoutMs;
  for (;;) {
    const { done, line } = await look().catch(unanswered);
    progress.show(line);
    if (done) return progress.end();
    if (context.now() >= end) {
      progress.end();
      throw new MeshStorError("Waiting", `${what} took longer than ${Math.round(timeoutMs / 1000)} s; the wish stands, and goes on without this command: ${line}`);
    }
    await sleep(Math.min(LOOK_MS, Math.max(1, end - context.now())));
  }
}

/** An API server that is away for a while is waited for too. */
function unanswered(thrown: unknown): Look {
  const error = asMeshStorError(thrown);
  if (error.code !== "ApiUnavailable") throw error;
  return { done: false, line: `the API server does not answer; it is asked again (${error.message})` };
}

/** How far a volume is: counters, then its sentence. */
export function lineOf(volume: MeshStorVolume): string {
  const { ready, mdState, syncPercentage } = volume.status ?? {};
  const counters = [`${ready ?? `0/${volume.spec.numberOfCopies}`} ready`, mdState, syncPercentage].filter((word) => word);
  return `volume ${volume.metadata.name}: ${counters.join(" ")}: ${sentenceOf(volume)}`;
}

/** One line that is written anew on a terminal; elsewhere a line for each change. */
export class Progress {
  readonly #context: Context;
  #last = "";
  #at = Number.NEGATIVE_INFINITY;

  constructor(context: Context) {
    this.#context = context;
  }

  show(line: string): void {
    const { terminal } = this.#context;
    if (terminal.isTerminal) {
      const short = line.length < terminal.columns ? line : `${line.slice(0, Math.max(1, terminal.columns - 2))}…`;
      terminal.out(`\r\u001B[K${short}`);
      this.#last = line;
      return;
    }
    if (line === this.#last) return;
    const onlyPercent = withoutPercent(line) === withoutPercent(this.#last);
    if (onlyPercent && this.#context.now() - this.#at < PROGRESS_MS) return;
    terminal.out(`${line}\n`);
    this.#last = line;
    this.#at = this.#context.now();
  }

  /** The last line stays, whole. */
  end(): void {
    if (this.#context.terminal.isTerminal) this.#context.terminal.out(`\r\u001B[K${this.#last}\n`);
  }
}

function withoutPercent(line: string): string {
  return line.replaceAll(/\d+(\.\d+)?%/g, "%");
}
