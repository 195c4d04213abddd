/** A lab's network as tests see it: guests and the host by name, cuts between them. */
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { run } from "../../tools/setup/run.ts";
import { addressesOf, tapsOf, type Addresses } from "./addresses.ts";
import { Cuts, HOST_END, type Cut } from "./cuts.ts";
import { inNamespace } from "./namespace.ts";
import { connectThroughRelay, listenLoopback } from "./relay-client.ts";

/** The name of the host's side (API server, controller) as an end of a cut. */
export const HOST = "host";

/** See the module's comment. */
export class LabNetwork {
  readonly #labId: string;
  readonly #names: readonly string[];
  readonly #relay: string;
  readonly #cuts: Cuts;

  constructor(labId: string, names: readonly string[], paths: { readonly relay: string; readonly cuts: string }) {
    this.#labId = labId;
    this.#names = names;
    this.#relay = paths.relay;
    this.#cuts = new Cuts(labId, paths.cuts);
  }

  /** Addresses of a guest, or of the host's side (`"host"`). */
  addresses(name: string): Addresses {
    return addressesOf(name === HOST ? 0 : this.#indexOf(name));
  }

  /** Drops packets between two ends (guests or `"host"`), both ways, or only those from `a` to `b`. */
  async cut(a: string, b: string, options: { readonly oneWay?: boolean } = {}): Promise<void> {
    const there = this.#cut(a, b);
    await this.#cuts.add(options.oneWay === true ? [there] : [there, this.#cut(b, a)]);
  }

  /** Cuts one end off from every other one, the host's side included unless `except` names it. */
  async isolate(name: string, options: { readonly except?: readonly string[] } = {}): Promise<void> {
    const others = [...this.#names, HOST].filter((other) => other !== name && options.except?.includes(other) !== true);
    await this.#cuts.add(others.flatMap((other) => [this.#cut(name, other), this.#cut(other, name)]));
  }

  /** Ends all cuts, or those between two ends. */
  async heal(a?: string, b?: string): Promise<void> {
    if (a === undefined) return this.#cuts.remove();
    const ends = [a, b].filter((end) => end !== undefined).map((end) => this.#end(end));
    await this.#cuts.remove((cut) => ends.every((end) => cut.from === end || cut.to === end));
  }

  /** The cuts in force, by name. */
  cuts(): Cut[] {
    const nameOf = (end: string): string => (end === HOST_END ? HOST : (this.#names.find((name) => this.#end(name) === end) ?? end));
    return this.#cuts.list().map((cut) => ({ from: nameOf(cut.from), to: nameOf(cut.to) }));
  }

  /** Packets dropped since the last change of cuts: the proof that a cut engaged. */
  dropped(): Promise<number> {
    return this.#cuts.dropped();
  }

  /** Runs a host program inside the lab's namespace to its end and returns its stdout. */
  run(argv: readonly string[], options?: { readonly stdin?: string }): Promise<string> {
    return run(inNamespace(this.#labId, argv), options);
  }

  /** Starts a host program inside the lab's namespace (API server, controller); it dies with the lab. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [program = "", ...args] = inNamespace(this.#labId, argv);
    return spawn(program, args, options);
  }

  /** The command line that runs another one inside the lab's namespace. */
  command(argv: readonly string[]): string[] {
    return inNamespace(this.#labId, argv);
  }

  /** Opens a TCP connection to an address inside the namespace, from any process. */
  connect(host: string, port: number): ReturnType<typeof connectThroughRelay> {
    return connectThroughRelay(this.#relay, host, port);
  }

  /** A loopback port outside the namespace that reaches an address inside it while this process lives. */
  async expose(host: string, port: number): Promise<{ readonly port: number; close(): void }> {
    const { port: local, server } = await listenLoopback(this.#relay, host, port);
    return { port: local, close: () => void server.close() };
  }

  #cut(from: string, to: string): Cut {
    return { from: this.#end(from), to: this.#end(to) };
  }

  #end(name: string): string {
    return name === HOST ? HOST_END : tapsOf(this.#indexOf(name)).storage;
  }

  #indexOf(name: string): number {
    const at = this.#names.indexOf(name);
    if (at < 0) throw new Error(`no guest "${name}" in this lab; there are ${this.#names.join(", ")}`);
    return at + 1;
  }
}
