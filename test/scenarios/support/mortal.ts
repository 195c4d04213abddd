/**
 * Node programs that die at every moment they have not died at before, each time by SIGKILL, and are
 * started again as kubelet does. One pass of a story so meets each of its crash moments once.
 */
import { readFileSync, statSync } from "node:fs";
import { CsiError } from "../../../lab/world/csi-client.ts";
import { type Capability, MOUNT_XFS, type NodeProgram } from "../../../lab/world/node-program.ts";
import { scaledSeconds, sleep } from "../../../lab/world/wait.ts";
import type { ActionKind } from "../../../src/core/action.ts";

export type Moment = `${"before" | "after"}:${ActionKind}`;

/** The moment after each kind of action, and with `before` also that before it. */
export function momentsOf(kinds: readonly ActionKind[], before: boolean): Moment[] {
  return kinds.flatMap((kind): Moment[] => [...(before ? [`before:${kind}` as const] : []), `after:${kind}`]);
}

/** Where a guest's program looks up the moments that are left. */
const LIST = "/run/meshstor/moments";

/** The moments still to be met; shared by the programs of a world. */
export class Moments {
  readonly pending: Set<Moment>;
  /** What happened, in order: `moment on node`. */
  readonly met: string[] = [];
  /** Ends of programs that no moment explains. */
  readonly unexplained: string[] = [];
  readonly #tell = new Set<() => Promise<void>>();

  constructor(moments: readonly Moment[]) {
    this.pending = new Set(moments);
  }

  died(node: string, moment: string | undefined, how: string): void {
    if (moment === undefined) this.unexplained.push(`${node}: ${how}`);
    else this.met.push(`${moment} on ${node}`);
    this.pending.delete(moment as Moment);
    // The others need not die of the same; one that did not hear of it in time does.
    for (const tell of this.#tell) void tell().catch(() => {});
  }

  onChange(tell: () => Promise<void>): void {
    this.#tell.add(tell);
  }
}

/** One node's program under Moments. */
export class Mortal {
  readonly node: NodeProgram;
  readonly #moments: Moments;
  #generation = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(node: NodeProgram, moments: Moments) {
    this.node = node;
    this.#moments = moments;
    moments.onChange(() => this.#write());
  }

  /** Replaced in one step, also by several at a time. */
  async #write(): Promise<void> {
    if (this.node.guest.state === "on") await this.node.guest.writeFile(LIST, `${[...this.#moments.pending].join("\n")}\n`);
  }

  /** From now on it lives and dies; a program that runs is killed first. */
  async begin(): Promise<void> {
    await this.end();
    const generation = this.#generation;
    this.#running = this.#live(generation);
  }

  /** Kills it; it is not started again. */
  async end(): Promise<void> {
    this.#generation += 1;
    await this.node.kill();
    await this.#running;
    // Started between the two: it goes as well.
    await this.node.kill();
  }

  /** Runs it until the one moment comes, and leaves it dead. */
  async once(moment: Moment): Promise<void> {
    await this.end();
    await this.node.start({ crashAt: moment });
    await this.node.ended();
    this.node.lost();
  }

  async #live(generation: number): Promise<void> {
    while (this.#generation === generation) {
      const from = sizeOf(this.node.logPath);
      try {
        await this.#write();
        await this.node.start({ crashAt: `@${LIST}` });
        if (this.#generation !== generation) return;
        const { code, signal } = await this.node.ended();
        if (this.#generation !== generation) return;
        const moment = await crashMoment(this.node.logPath, from);
        this.#moments.died(this.node.name, moment, `ended with ${signal ?? code}`);
      } catch (error) {
        if (this.#generation !== generation) return;
        this.#moments.unexplained.push(`${this.node.name}: ${String(error)}`);
        await sleep(500);
      }
    }
  }

  /** Repeats a call as kubelet does until it succeeds: the program may die under it any number of times. */
  async insist(what: string, call: () => Promise<unknown>, seconds = 240): Promise<void> {
    const end = Date.now() + scaledSeconds(seconds) * 1000;
    for (let last = "never tried"; ;) {
      try {
        await this.node.answers();
        await call();
        return;
      } catch (error) {
        last = error instanceof CsiError ? error.message : String(error);
      }
      if (Date.now() > end) throw new Error(`${what} on ${this.node.name} did not succeed within ${seconds} s; ${last}`);
      await sleep(200);
    }
  }

  async mount(volume: string, capability: Capability = MOUNT_XFS): Promise<string> {
    await this.insist(`stage ${volume}`, () => this.node.stage(volume, 20, capability));
    await this.insist(`publish ${volume}`, () => this.node.publish(volume, capability));
    return this.node.targetPath(volume);
  }

  async unmount(volume: string): Promise<void> {
    await this.insist(`unpublish ${volume}`, () => this.node.unpublish(volume));
    await this.insist(`unstage ${volume}`, () => this.node.unstage(volume, 20));
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

/** What the program said as its last word, as soon as it has reached the log. */
async function crashMoment(log: string, from: number): Promise<string | undefined> {
  for (let i = 0; i < 20; i += 1) {
    const said = readFileSync(log).subarray(from).toString();
    const match = /^crash at (\S+)$/m.exec(said);
    if (match) return match[1];
    await sleep(100);
  }
  return undefined;
}
