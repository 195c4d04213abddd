/** The register workload in a guest: what it reports is on the host at once, so it survives the guest. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "../cluster.ts";
import type { Guest, GuestProcess } from "../guest/guest.ts";
import { eventually } from "./wait.ts";
import { workloadProgram } from "./writer.ts";

export class Registers {
  readonly #process: GuestProcess;
  readonly #log: string;

  private constructor(process: GuestProcess, log: string) {
    this.#process = process;
    this.#log = log;
  }

  /** Starts it; resolves once a write is acknowledged. A later run on the same file has a higher number. */
  static async start(lab: Lab, guest: Guest, file: string, run: number, options: { intervalMs?: number } = {}): Promise<Registers> {
    const path = await workloadProgram(lab);
    const log = join(lab.logDir, `${guest.name}.registers-${process.pid}-${run}.log`);
    const env = { UV_USE_IO_URING: "0", UV_THREADPOOL_SIZE: "8" };
    const started = await guest.spawn(["node", path, "registers", file, String(run), String(options.intervalMs ?? 40)], { logPath: log, env });
    const registers = new Registers(started, log);
    await eventually("the registers' first acknowledgement", 60, async () => /^W /m.test(registers.text()) || "none yet");
    return registers;
  }

  /** Everything it said so far; see workload/registers.ts. */
  text(): string {
    return readFileSync(this.#log, { encoding: "utf8", flag: "a+" });
  }

  /** When its newest read ended, in epoch ms of the guest's clock; 0 for none. */
  lastReadMs(): number {
    return Number([...this.text().matchAll(/^R \d+ \d+ -?\d+ (\d+)$/gm)].at(-1)?.[1] ?? 0);
  }

  /** Ends it, whatever it is doing. */
  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}
