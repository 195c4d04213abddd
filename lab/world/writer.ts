/** A writer of fsynced records in a guest, and the checker that proves that none of them was lost. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import type { Lab } from "../cluster.ts";
import type { Guest, GuestProcess } from "../guest/guest.ts";
import { labPaths } from "../state.ts";
import { blockedTasks } from "./blocked.ts";
import { eventually } from "./wait.ts";

/** The workload's program, made and shared with all guests; returns its path there. */
export async function workloadProgram(lab: Lab): Promise<string> {
  const outfile = join(labPaths(lab.id).dir, "workload.mjs");
  await build({ entryPoints: [join(import.meta.dirname, "workload/program.ts")], bundle: true, platform: "node", format: "esm", outfile, logLevel: "error" });
  return lab.share("workload.mjs", outfile);
}

/** One acknowledged write. */
export interface Ack {
  readonly seq: number;
  /** How long write and fdatasync took, ms. */
  readonly ms: number;
  /** When it was acknowledged on the guest's clock, in epoch ms; only if the writer was started with `clock`. */
  readonly atMs?: number;
}

let runs = 0;

export class Writer {
  readonly guest: Guest;
  readonly file: string;
  readonly run: number;
  readonly #process: GuestProcess;
  readonly #log: string;
  /** How it ended; null while it runs. */
  #ended: string | null = null;

  private constructor(guest: Guest, file: string, run: number, process: GuestProcess, log: string) {
    this.guest = guest;
    this.file = file;
    this.run = run;
    this.#process = process;
    this.#log = log;
    void process.exited.then(({ code, signal }) => (this.#ended = signal ?? `exit code ${code}`));
  }

  /** Starts a writer; every acknowledgement is on the host at once, so it survives the guest. */
  static async start(lab: Lab, guest: Guest, file: string, options: { intervalMs?: number; clock?: boolean } = {}): Promise<Writer> {
    const path = await workloadProgram(lab);
    runs += 1;
    const log = join(lab.logDir, `${guest.name}.writer-${process.pid}-${runs}.log`);
    const more = options.clock === true ? ["1000000000", "clock"] : [];
    const started = await guest.spawn(["node", path, "write", file, String(runs), String(options.intervalMs ?? 50), ...more], { logPath: log, env: { UV_USE_IO_URING: "0" } });
    const writer = new Writer(guest, file, runs, started, log);
    await eventually("the writer's first acknowledgement", 60, async () => writer.acks().length > 0 || "none yet");
    return writer;
  }

  /** Acknowledgements so far. */
  acks(): Ack[] {
    const text = safeRead(this.#log);
    return [...text.matchAll(/^A (\d+) ([\d.]+)(?: (\d+))?$/gm)].map((m) => ({ seq: Number(m[1]), ms: Number(m[2]), ...(m[3] === undefined ? {} : { atMs: Number(m[3]) }) }));
  }

  /** Errors that the writer met; none is expected unless the scenario says so. */
  errors(): string[] {
    return [...safeRead(this.#log).matchAll(/^E .*$/gm)].map((m) => m[0]);
  }

  /** Waits until `more` further writes are acknowledged; a writer that has ended, or that waits in vain, is an error that says what it met. */
  async progress(more: number, seconds: number): Promise<void> {
    const from = this.acks().length;
    const made = () => this.acks().length - from;
    try {
      await eventually(`${more} more acknowledged writes`, seconds, async () => made() >= more || this.#ended !== null || `${made()} so far`);
    } catch (error) {
      throw new Error(`${(error as Error).message}; ${await blockedTasks(this.guest)}`, { cause: error });
    }
    if (made() < more)
      throw new Error(`the writer of ${this.file} ended (${this.#ended}) after ${made()} of ${more} more writes: ${this.errors().join(", ") || "without an error"}`);
  }

  /** Longest single write since acknowledgement number `from`, in ms. */
  longestPause(from = 0): number {
    return Math.max(
      0,
      ...this.acks()
        .slice(from)
        .map((a) => a.ms),
    );
  }

  /** Stops it where it is, so that nobody flushes; {@link resume} lets it go on. */
  pause(): void {
    this.#process.kill("SIGSTOP");
  }

  resume(): void {
    this.#process.kill("SIGCONT");
  }

  /** Ends the writer between two records. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.exited;
  }
}

function safeRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** What a file of records holds: its runs in the order of the file, and how many blocks are no record or out of order. */
export interface RecordsFound {
  readonly count: number;
  readonly bad: number;
  readonly runs: readonly { readonly run: number; readonly last: number }[];
}

/** Reads a file of records in a guest. */
export async function readRecords(lab: Lab, guest: Guest, file: string): Promise<RecordsFound> {
  const path = await workloadProgram(lab);
  const { stdout } = await guest.exec(["node", path, "check", file], { timeoutMs: 300_000, env: { UV_USE_IO_URING: "0" } });
  const match = /^C (\d+) (\d+) (\d+)$/m.exec(stdout);
  if (!match) throw new Error(`the checker said: ${stdout}`);
  const runs = [...stdout.matchAll(/^S (\d+) (\d+)$/gm)].map((m) => ({ run: Number(m[1]), last: Number(m[2]) }));
  return { count: Number(match[1]), bad: Number(match[3]), runs };
}

/** Reads a file of records in a guest: whole and gapless, or an error that says what is wrong. */
export async function checkRecords(lab: Lab, guest: Guest, file: string, atLeast: number): Promise<number> {
  const { count, bad } = await readRecords(lab, guest, file);
  if (bad > 0) throw new Error(`${bad} bad or missing records in ${file}`);
  if (count < atLeast) throw new Error(`${count} records in ${file}, but ${atLeast} were acknowledged: acknowledged writes are lost`);
  return count;
}
