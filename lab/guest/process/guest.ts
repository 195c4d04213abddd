/** A process guest: a User Mode Linux kernel that runs as a process on the host. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ensureRootfs } from "../../../tools/setup/rootfs.ts";
import { ensureUmlKernel, type KernelSeries } from "../../../tools/setup/uml-kernel.ts";
import { inNamespace } from "../../net/namespace.ts";
import { ExecChannel } from "../channel.ts";
import type { GuestContext } from "../context.ts";
import { createDriveFile } from "../drives.ts";
import { awaitReady } from "../exec-client.ts";
import type { ExecOptions, ExecResult, Guest, GuestProcess, GuestState, SpawnOptions } from "../guest.ts";
import { writeHostDir } from "../host-dir.ts";
import { identify, isAlive, killGroup, readRunState, writeRunState, type ProcessId, type RunState } from "../run-state.ts";
import { backingOf, commandOf } from "./command.ts";

/** Longest time from power-on to the exec daemon's answer, on a busy machine. */
const BOOT_LIMIT_MS = 120_000;

/** See {@link Guest}. */
export class ProcessGuest implements Guest {
  readonly kind = "process";
  readonly #context: GuestContext;
  readonly #channel: ExecChannel;

  constructor(context: GuestContext) {
    this.#context = context;
    this.#channel = new ExecChannel(context.name, context.connect, context.paths.sockets);
  }

  get name(): string {
    return this.#context.name;
  }

  get consolePath(): string {
    return this.#context.paths.console;
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
    const command = await this.#prepare();
    const main = this.#start(command);
    try {
      await this.#awaitReady(main);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(`${this.name} does not boot: ${text}\n${this.#consoleTail()}`, { cause: error });
    }
  }

  async powerOff(): Promise<void> {
    const state = this.#remembered();
    if (state.process === undefined) return;
    await killGroup(state.process);
    this.#save({ bootCount: state.bootCount });
    await this.#context.disconnect();
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

  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return this.#channel.exec(argv, options);
  }

  sh(script: string, options?: ExecOptions): Promise<string> {
    return this.#channel.sh(script, options);
  }

  spawn(argv: readonly string[], options?: SpawnOptions): Promise<GuestProcess> {
    return this.#channel.spawn(argv, options);
  }

  readFile(path: string): Promise<Buffer> {
    return this.#channel.readFile(path);
  }

  writeFile(path: string, data: string | Buffer, mode?: number): Promise<void> {
    return this.#channel.writeFile(path, data, mode);
  }

  forwardUnix(guestSocketPath: string): Promise<string> {
    return this.#channel.forwardUnix(guestSocketPath);
  }

  async #prepare(): Promise<string[]> {
    const { paths, drives, kernel, ...context } = this.#context;
    const [{ kernel: program }, { image }] = await Promise.all([ensureUmlKernel(kernel as KernelSeries), ensureRootfs()]);
    if (program === undefined || image === undefined) throw new Error("set-up gave no kernel or no root image");
    for (const drive of drives) createDriveFile(drive);
    if (paths.persist !== undefined) mkdirSync(paths.persist, { recursive: true });
    const hostDir = join(paths.own, "host");
    writeHostDir(hostDir, { ...context, drives, interfaces: { storage: "vec0", management: "vec1" }, backingOf }, paths.execd);
    const umlDir = join(paths.own, "uml");
    rmSync(umlDir, { recursive: true, force: true });
    mkdirSync(umlDir);
    return commandOf({ ...context, kernel: program, rootImage: image, drives, hostDir, shareDir: paths.share, persistDir: paths.persist, umlDir });
  }

  #start(command: readonly string[]): ProcessId {
    const log = openSync(this.consolePath, "a");
    const [program = "", ...args] = inNamespace(this.#context.labId, command);
    const env = { ...process.env, TMPDIR: memoryDir(), HOME: this.#context.paths.own };
    const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log], env });
    closeSync(log);
    child.unref();
    child.on("error", () => {});
    const id = child.pid === undefined ? undefined : identify(child.pid);
    if (id === undefined) throw new Error(`${this.name}: cannot start ${program}`);
    this.#save({ bootCount: this.bootCount + 1, process: id });
    return id;
  }

  async #awaitReady(main: ProcessId): Promise<void> {
    const deadline = Date.now() + BOOT_LIMIT_MS;
    let last = "no answer";
    while (Date.now() < deadline) {
      if (!isAlive(main)) throw new Error("its kernel ended");
      try {
        return await awaitReady(this.#context.connect);
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
      }
      await sleep(50);
    }
    throw new Error(`not ready within ${BOOT_LIMIT_MS / 1000} s (${last})`);
  }

  #signalMain(signal: NodeJS.Signals): void {
    const main = this.#remembered().process;
    if (main === undefined || !isAlive(main)) throw new Error(`${this.name} is off`);
    // The main process only: stopping a helper process panics the kernel.
    process.kill(main.pid, signal);
  }

  async #stateOfMain(wanted: (letter: string) => boolean): Promise<void> {
    const pid = this.#remembered().process?.pid ?? 0;
    for (let waited = 0; waited < 5000; waited += 5) {
      const letter = /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
      if (wanted(letter)) return;
      await sleep(5);
    }
    throw new Error(`${this.name}: the kernel's process does not stop`);
  }

  #remembered(): RunState {
    return readRunState(join(this.#context.paths.own, "run.json"));
  }

  #save(state: RunState): void {
    writeRunState(join(this.#context.paths.own, "run.json"), state);
  }

  #consoleTail(): string {
    if (!existsSync(this.consolePath)) return "(no console output)";
    return readFileSync(this.consolePath, "latin1").split("\n").slice(-40).join("\n");
  }
}

/** A tmpfs for the guest's memory file; on a disk every page written would reach it. */
function memoryDir(): string {
  const mounts = readFileSync("/proc/mounts", "utf8");
  const isTmpfs = (dir: string): boolean => new RegExp(` ${dir} tmpfs `).test(mounts);
  for (const dir of [process.env["TMPDIR"] ?? "/tmp", "/dev/shm"]) if (isTmpfs(dir)) return dir;
  throw new Error("no tmpfs for guests' memory: neither $TMPDIR nor /dev/shm is one");
}
