/** Runs cases, one after another, each on a volume of its own; cases of one world share it as long as they end well. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { scaleTimeouts } from "../../lab/world/wait.ts";
import { World } from "../../lab/world/world.ts";
import { nameOf, nodesOf, partsOf, worldOf, type Case } from "./case.ts";
import { faultOf } from "./faults.ts";
import type { Entry, Verdict } from "./ledger.ts";
import { NotEngaged, NotHealthy, Stage, Violation } from "./stage.ts";

/** An emulated machine is slower by about this much than a process guest. */
const EMULATED_SCALE = 6;

export class Runner {
  readonly #folder: string;
  readonly #say: (line: string) => void;
  #world: { readonly key: string; readonly world: World; readonly logs: string } | null = null;
  #worlds = 0;
  #volumes = 0;

  /** Logs of worlds in which a case failed stay under `folder`. */
  constructor(folder: string, say: (line: string) => void) {
    this.#folder = folder;
    this.#say = say;
  }

  /** Runs a case; never throws for what the case does. */
  async run(each: Case): Promise<Entry> {
    const begun = Date.now();
    const name = nameOf(each);
    this.#say(`${name}: ${faultOf(each.fault).title}`);
    let stage: Stage | null = null;
    const entry = (verdict: Verdict, more: Partial<Entry>): Entry => {
      const seconds = Math.round((Date.now() - begun) / 1000);
      return { name, at: new Date(begun).toISOString(), verdict, seconds, engaged: stage?.evidence ?? [], ...more };
    };
    try {
      const world = await this.#worldFor(each);
      const spec = { copies: Number(each.copies), stripe: each.drives === "striped" ? 2 : 1, nodes: partsOf(each) };
      this.#volumes += 1;
      stage = await Stage.up(world, `pvc-chaos-${process.pid}-${this.#volumes}`, spec, (line) => this.#say(`  ${line}`));
      return entry("ok", await stage.play(faultOf(each.fault)));
    } catch (error) {
      return this.#failed(entry(verdictOf(error), { message: error instanceof Error ? error.message : String(error) }));
    }
  }

  /** Takes the world down, if there is one; its logs stay if `keepLogs`. */
  async close(keepLogs = false): Promise<void> {
    const open = this.#world;
    this.#world = null;
    if (open === null) return;
    await open.world.down();
    if (!keepLogs) rmSync(open.logs, { recursive: true, force: true });
  }

  /** What a failed case leaves behind would be in the way of the next one. */
  async #failed(entry: Entry): Promise<Entry> {
    const logs = this.#world?.logs;
    await this.close(true);
    return logs === undefined ? entry : { ...entry, logs };
  }

  async #worldFor(each: Case): Promise<World> {
    const key = worldOf(each);
    if (this.#world?.key === key) return this.#world.world;
    await this.close();
    if (each.guests === "emulated") scaleTimeouts(EMULATED_SCALE);
    this.#worlds += 1;
    const logs = join(this.#folder, `world-${process.pid}-${this.#worlds}`);
    mkdirSync(logs, { recursive: true });
    const world = await World.up({ nodes: nodesOf(each), logDir: logs, say: (line) => this.#say(`  ${line}`) });
    this.#world = { key, world, logs };
    return world;
  }
}

function verdictOf(error: unknown): Verdict {
  if (error instanceof Violation) return "violation";
  if (error instanceof NotHealthy) return "not healthy";
  return error instanceof NotEngaged ? "not engaged" : "error";
}
