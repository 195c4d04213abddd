/**
 * What MeshStor costs, measured in the lab: `npm run bench`, or `npm run bench -- PART...` for some parts.
 * Every figure is measured in this run; goals are the design's. Ends with 1 if a goal is missed or a part fails.
 */
import { execFileSync } from "node:child_process";
import { loadavg } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { World } from "../lab/world/world.ts";
import { Figures } from "./figure.ts";
import { GiB, type Bench, type Part } from "./part.ts";
import { create } from "./parts/create.ts";
import { io } from "./parts/io.ts";
import { many } from "./parts/many.ts";
import { pause } from "./parts/pause.ts";
import { rebuild } from "./parts/rebuild.ts";
import { residual } from "./parts/residual.ts";
import { rest } from "./parts/rest.ts";
import { resync } from "./parts/resync.ts";
import { running } from "./parts/running.ts";
import { takeover } from "./parts/takeover.ts";
import { formatTable } from "./table.ts";

/** Parts that share a world, one after the other; the last one leaves its volumes to the world's end. */
const WORLDS: readonly (readonly Part[])[] = [[create, pause, takeover, residual, resync, rebuild, io, rest], [many], [running]];
const PARTS = WORLDS.flat();

interface Options {
  readonly output: "table" | "json";
  readonly kernel: string;
}

const begun = performance.now();
function say(line: string): void {
  process.stderr.write(`bench: ${((performance.now() - begun) / 1000).toFixed(0)} s: ${line}\n`);
}

async function measure(parts: readonly Part[], options: Options): Promise<void> {
  say("set-up (nothing is done twice)");
  execFileSync(process.execPath, [join(import.meta.dirname, "../tools/setup/main.ts"), "lab"], { stdio: ["ignore", 2, 2] });
  const figures = new Figures((f) => say(`  ${f.name}: ${f.measured}${f.verdict === "shown" ? "" : ` (goal ${f.goal}: ${f.verdict})`}`));
  const failures: string[] = [];
  for (const group of WORLDS)
    failures.push(
      ...(await inOneWorld(
        group.filter((part) => parts.includes(part)),
        options.kernel,
        figures,
      )),
    );
  report(figures, failures, options);
}

/** The sentences of what could not be measured. */
async function inOneWorld(parts: readonly Part[], kernel: string, figures: Figures): Promise<string[]> {
  if (parts.length === 0) return [];
  // The third drive has no partition table, so it is nobody's until the contestants take it.
  const drives = [{ size: 64 * GiB }, { size: 64 * GiB }, { size: 2 * GiB, table: "none" as const }];
  const world = await World.up({ kernel, nodes: ["n1", "n2", "n3"].map((name) => ({ name, drives })), say });
  try {
    for (const part of parts) {
      say(`${part.name}: ${part.describe}`);
      const failure = await attempt(part, { world, figures, say });
      if (failure !== null) return [`${part.name} could not be measured: ${failure}`];
    }
  } finally {
    await world.down();
  }
  return [];
}

/** A part that fails ends the run: what it left behind would be in the way of the others. */
async function attempt(part: Part, bench: Bench): Promise<string | null> {
  const started = performance.now();
  try {
    await part.run(bench);
    bench.say(`${part.name} took ${((performance.now() - started) / 1000).toFixed(0)} s`);
    return null;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    bench.say(`${part.name} FAILED: ${message}`);
    return message;
  }
}

function report(figures: Figures, failures: readonly string[], options: Options): void {
  const seconds = Math.round((performance.now() - begun) / 1000);
  const missed = figures.all.filter((f) => f.verdict === "missed").length;
  if (options.output === "json") {
    process.stdout.write(`${JSON.stringify({ kernel: options.kernel, seconds, load: loadavg(), figures: figures.all, failures }, null, 2)}\n`);
  } else {
    process.stdout.write(formatTable(figures.all, process.stdout.isTTY));
    for (const failure of failures) process.stdout.write(`\n${failure}\n`);
    const judged = figures.all.filter((f) => f.verdict !== "shown").length;
    process.stdout.write(
      `\n${judged - missed} of ${judged} goals met in ${seconds} s; kernel ${options.kernel}, the machine's load ${loadavg()
        .map((l) => l.toFixed(1))
        .join(" ")}\n`,
    );
  }
  process.exitCode = missed + failures.length > 0 ? 1 : 0;
}

const program = new Command("bench").description("Measurements of MeshStor in the lab.");
program
  .argument("[part...]", `what to measure: ${PARTS.map((p) => p.name).join(", ")}; everything by default`)
  .addOption(new Option("--output <form>", "how the result is printed").choices(["table", "json"]).default("table"))
  .addOption(new Option("--kernel <series>", "the guests' kernel").choices(["6.12", "7.2"]).default("6.12"))
  .action(async (names: string[], options: Options) => {
    const unknown = names.filter((name) => !PARTS.some((p) => p.name === name));
    if (unknown.length > 0) program.error(`no part "${unknown.join('", "')}"; there are ${PARTS.map((p) => p.name).join(", ")}`);
    await measure(names.length === 0 ? PARTS : PARTS.filter((p) => names.includes(p.name)), options);
  });
await program.parseAsync();
process.exit();
