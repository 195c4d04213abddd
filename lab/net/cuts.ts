/**
 * Cuts in the storage network, as nftables rules on the bridge: the interfaces stay up, packets
 * vanish, as with a broken switch port. The whole table is replaced at once for every change.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { run } from "../../tools/setup/run.ts";
import { inNamespace } from "./namespace.ts";

/** The host's side of the storage network (where the API server listens), as an end of a cut. */
export const HOST_END = "host";

/** Packets from one end to the other are dropped. Ends are taps or {@link HOST_END}. */
export interface Cut {
  readonly from: string;
  readonly to: string;
}

/** Ruleset that drops exactly the given directions. */
export function rulesetOf(cuts: readonly Cut[]): string {
  const rules = { forward: [] as string[], input: [] as string[], output: [] as string[] };
  for (const { from, to } of cuts) {
    if (from === HOST_END) rules.output.push(`oifname "${to}" counter drop`);
    else if (to === HOST_END) rules.input.push(`iifname "${from}" counter drop`);
    else rules.forward.push(`iifname "${from}" oifname "${to}" counter drop`);
  }
  const chain = (hook: keyof typeof rules): string => `chain ${hook} { type filter hook ${hook} priority 0; policy accept;\n${rules[hook].join("\n")}\n}`;
  const table = `table bridge lab {\n${chain("forward")}\n${chain("input")}\n${chain("output")}\n}`;
  return `table bridge lab\ndelete table bridge lab\n${table}\n`;
}

/** The cuts of one lab, kept in a file so that another process can add to them. */
export class Cuts {
  readonly #labId: string;
  readonly #path: string;

  constructor(labId: string, path: string) {
    this.#labId = labId;
    this.#path = path;
  }

  /** What is cut now. */
  list(): Cut[] {
    try {
      return JSON.parse(readFileSync(this.#path, "utf8")) as Cut[];
    } catch {
      return [];
    }
  }

  /** Adds cuts. */
  async add(cuts: readonly Cut[]): Promise<void> {
    const now = this.list();
    const fresh = cuts.filter((cut) => !now.some((known) => known.from === cut.from && known.to === cut.to));
    await this.#set([...now, ...fresh]);
  }

  /** Removes the cuts that `which` selects; all of them by default. */
  async remove(which: (cut: Cut) => boolean = () => true): Promise<void> {
    await this.#set(this.list().filter((cut) => !which(cut)));
  }

  /** Number of packets that each cut has dropped; a test's proof that its fault engaged. */
  async dropped(): Promise<number> {
    const out = await run(inNamespace(this.#labId, ["nft", "list", "table", "bridge", "lab"]));
    return [...out.matchAll(/counter packets (\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
  }

  async #set(cuts: readonly Cut[]): Promise<void> {
    await run(inNamespace(this.#labId, ["nft", "-f", "-"]), { stdin: rulesetOf(cuts) });
    writeFileSync(this.#path, JSON.stringify(cuts));
  }
}
