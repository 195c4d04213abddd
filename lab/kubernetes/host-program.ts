/** A program on the host's side of a lab: in the lab's network, with a log, as long as the process that started it lives. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Lab } from "../cluster.ts";
import { hasEnded, isAlive, signal, startDetached, type ProcessIdentity } from "../control-plane/processes.ts";

const STOP_MS = 10_000;

/** What is run. */
export interface HostProgramSpec {
  /** Names its log. */
  readonly name: string;
  readonly argv: readonly string[];
}

/** See the module's comment. */
export class HostProgram {
  readonly name: string;
  readonly #lab: Lab;
  readonly #argv: readonly string[];
  #process: ProcessIdentity | null = null;

  constructor(lab: Lab, { name, argv }: HostProgramSpec) {
    this.#lab = lab;
    this.name = name;
    this.#argv = argv;
  }

  get logPath(): string {
    return join(this.#lab.logDir, `${this.name}.log`);
  }

  /** Starts it unless it runs. */
  start(): void {
    if (this.running()) return;
    this.#process = startDetached(this.#lab.net.command([]), this.#argv, { cwd: "/", logPath: this.logPath, dieWithStarter: true });
  }

  running(): boolean {
    return this.#process !== null && isAlive(this.#process);
  }

  /** SIGTERM, then SIGKILL when it does not end. */
  async stop(): Promise<void> {
    for (const name of ["SIGTERM", "SIGKILL"] as const) {
      if (this.#process === null) return;
      signal(this.#process, name);
      if (await hasEnded(this.#process, STOP_MS)) this.#process = null;
    }
  }

  /** The end of its log, for an error. */
  tail(): string {
    return readFileSync(this.logPath, "utf8").split("\n").slice(-15).join("\n");
  }
}
