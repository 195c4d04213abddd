/** What every kind of guest does alike: a process on the host that boots, answers, is frozen and killed. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { inNamespace } from "../net/namespace.ts";
import { ExecChannel } from "./channel.ts";
import type { GuestContext } from "./context.ts";
import { endOf, GuestEndedError, type ProcessEnd } from "./end.ts";
import { awaitReady } from "./exec-client.ts";
import type { ExecOptions, ExecResult, Guest, GuestProcess, GuestState, SpawnOptions } from "./guest.ts";
import { identify, isAlive, killGroup, readRunState, writeRunState, type ProcessId, type RunState } from "./run-state.ts";

/** A program on the host that is a machine. */
export interface Launch {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** See the module's comment; a kind says how its machine is started. */
export abstract class Machine implements Guest {
  abstract readonly kind: Guest["kind"];
  protected readonly context: GuestContext;
  /** Longest time from power-on to the exec daemon's answer, on a busy machine. */
  protected readonly bootLimitMs: number = 120_000;
  /** How much slower than a process guest this one is: factor on every time limit of a program. */
  protected readonly timeScale: number = 1;
  readonly #channel: ExecChannel;
  /** Why the machine ended by itself; until it is powered on again. */
  #ownEnd: GuestEndedError | undefined;

  constructor(context: GuestContext) {
    this.context = context;
    this.#channel = new ExecChannel(context.name, context.connect, context.paths.sockets);
  }

  /** Makes everything the machine needs and says how to start it. */
  protected abstract prepare(): Promise<Launch>;

  /** Called once the guest's init is done; the guest is ready when this resolves. */
  protected async afterBoot(): Promise<void> {}

  get name(): string {
    return this.context.name;
  }

  get consolePath(): string {
    return this.context.paths.console;
  }

  get bootCount(): number {
    return this.#remembered().bootCount;
  }

  get state(): GuestState {
    const { process, frozen } = this.#remembered();
    if (!isAlive(process)) return "off";
    return frozen === true ? "frozen" : "on";
  }

  async powerOn(): Promise<void> {
    if (this.state !== "off") throw new Error(`${this.name} is on already`);
    this.#ownEnd = undefined;
    const launch = await this.prepare();
    const main = this.#start(launch);
    try {
      await this.#awaitReady(main);
      await this.afterBoot();
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(`${this.name} does not boot: ${text}\n${this.#consoleTail()}`, { cause: error });
    }
  }

  async powerOff(): Promise<void> {
    const state = this.#remembered();
    if (state.process === undefined) return;
    this.#save({ ...state, ending: true });
    await killGroup(state.process);
    this.#save({ bootCount: state.bootCount });
    await this.context.disconnect();
  }

  async freeze(): Promise<void> {
    this.#signalMain("SIGSTOP");
    this.#save({ ...this.#remembered(), frozen: true });
    await this.#stateOfMain((letter) => letter === "T" || letter === "t");
  }

  async thaw(): Promise<void> {
    this.#signalMain("SIGCONT");
    this.#save({ ...this.#remembered(), frozen: false });
  }

  exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return this.#answered(() => this.#channel.exec(argv, { ...options, timeoutMs: (options.timeoutMs ?? 60_000) * this.timeScale }));
  }

  async sh(script: string, options?: ExecOptions): Promise<string> {
    return (await this.exec(["sh", "-euc", script], options)).stdout.trim();
  }

  spawn(argv: readonly string[], options?: SpawnOptions): Promise<GuestProcess> {
    return this.#answered(() => this.#channel.spawn(argv, options));
  }

  readFile(path: string): Promise<Buffer> {
    return this.#answered(() => this.#channel.readFile(path));
  }

  writeFile(path: string, data: string | Buffer, mode?: number): Promise<void> {
    return this.#answered(() => this.#channel.writeFile(path, data, mode));
  }

  forwardUnix(guestSocketPath: string): Promise<string> {
    return this.#channel.forwardUnix(guestSocketPath);
  }

  /** What is asked of a machine that ended by itself fails with the reason of that. */
  async #answered<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#ownEnd !== undefined) throw this.#ownEnd;
    try {
      return await ask();
    } catch (error) {
      throw this.#ownEnd ?? error;
    }
  }

  #start(launch: Launch): ProcessId {
    const log = openSync(this.consolePath, "a");
    const from = fstatSync(log).size;
    const [program = "", ...args] = inNamespace(this.context.labId, launch.argv);
    const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log], env: { ...process.env, ...launch.env } });
    closeSync(log);
    child.unref();
    child.on("error", () => {});
    const id = child.pid === undefined ? undefined : identify(child.pid);
    if (id === undefined) throw new Error(`${this.name}: cannot start ${program}`);
    child.once("exit", (code, signal) => void this.#ended(id, from, { code, signal }));
    this.#save({ bootCount: this.bootCount + 1, process: id });
    return id;
  }

  /** A machine that ends by itself ends the test that runs, with what it said: whoever waits for an answer of it would wait in vain. */
  async #ended(id: ProcessId, from: number, end: ProcessEnd): Promise<void> {
    const { process, ending } = this.#remembered();
    if (process?.startTime !== id.startTime || ending === true) return;
    const told = endOf(readFileSync(this.consolePath, "latin1").slice(from), end);
    if (told === null) return;
    this.#ownEnd = new GuestEndedError(`${this.name}: ${told}`);
    await this.context.disconnect();
    throw this.#ownEnd;
  }

  async #awaitReady(main: ProcessId): Promise<void> {
    const deadline = Date.now() + this.bootLimitMs;
    let last = "no answer";
    while (Date.now() < deadline) {
      if (!isAlive(main)) throw new Error("its kernel ended");
      try {
        return await awaitReady(this.context.connect);
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
      }
      await sleep(50);
    }
    throw new Error(`not ready within ${this.bootLimitMs / 1000} s (${last})`);
  }

  #signalMain(signal: NodeJS.Signals): void {
    const main = this.#remembered().process;
    if (main === undefined || !isAlive(main)) throw new Error(`${this.name} is off`);
    // The main process only: stopping a helper process of a process guest panics its kernel.
    process.kill(main.pid, signal);
  }

  async #stateOfMain(wanted: (letter: string) => boolean): Promise<void> {
    const pid = this.#remembered().process?.pid ?? 0;
    for (let waited = 0; waited < 5000; waited += 5) {
      const letter = /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
      if (wanted(letter)) return;
      await sleep(5);
    }
    throw new Error(`${this.name}: the machine's process does not stop`);
  }

  #remembered(): RunState {
    return readRunState(this.context.paths.runState);
  }

  #save(state: RunState): void {
    writeRunState(this.context.paths.runState, state);
  }

  #consoleTail(): string {
    if (!existsSync(this.consolePath)) return "(no console output)";
    return readFileSync(this.consolePath, "latin1").split("\n").slice(-40).join("\n");
  }
}
