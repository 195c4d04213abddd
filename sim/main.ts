/**
 * The simulator: `npm run sim -- random --seeds 1..1000`, `npm run sim -- exhaustive --depth 8 --faults 1`,
 * `npm run sim -- replay FILE|SEED`, `npm run sim -- mutations`. Ends with 1 if a rule is broken.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { reportText } from "./coverage.ts";
import type { Grain } from "./grain.ts";
import type { Failure } from "./failing.ts";
import { readHistory } from "./history-file.ts";
import { replay } from "./history.ts";
import { MUTATIONS } from "./mutations/mutate.ts";
import { WORKERS } from "./pool.ts";
import { proveOn, runSeedsOn } from "./parallel.ts";
import { proofTable } from "./proof.ts";
import { randomHistory } from "./random.ts";
import { SCENES } from "./scenes.ts";
import { sceneText, searchScenes } from "./search.ts";
import { beginningText, tell } from "./story.ts";

const FOLDER = join(import.meta.dirname, "../artefacts/sim");

function natural(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("a whole number is wanted");
  return value;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("a number above zero is wanted");
  return value;
}

/** `A..B`, or a number of seeds. */
function range(text: string): { from?: number; count: number } {
  const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(text) ?? [];
  if (from === undefined || to === undefined) return { count: natural(text) };
  if (Number(to) < Number(from)) throw new InvalidArgumentError("the first seed is above the last");
  return { from: Number(from), count: Number(to) - Number(from) + 1 };
}

const json = (value: unknown) => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
const print = (text: string) => void process.stdout.write(`${text}\n`);

function output(): Option {
  return new Option("--output <form>", "how the result is printed").choices(["text", "json"]).default("text");
}

function threads(): Option {
  return new Option("--workers <number>", "threads that work at a time").argParser(positive).default(WORKERS);
}

function planted(): Option {
  return new Option("--mutation <name>", "with a planted fault").choices(Object.keys(MUTATIONS));
}

function printFailure(failure: Failure): void {
  print(`${failure.name} breaks ${failure.rule}; made short, ${failure.steps} steps:\n${failure.story}\nagain: npm run sim -- replay ${failure.file}\n`);
}

interface RandomOptions {
  seeds?: { from?: number; count: number };
  seed?: number;
  from: number;
  minutes?: number;
  failures: number;
  mutation?: string;
  workers: number;
  coverage: boolean;
  output: "text" | "json";
}

const program = new Command("sim").description("Explores a model of one volume on three nodes that drives the production planner.");

program
  .command("random", { isDefault: true })
  .description("random histories, one for each seed")
  .option("--seeds <range>", "these seeds (A..B), or as many from --from on (default: 1000)", range)
  .option("--seed <number>", "this seed only", natural)
  .option("--from <seed>", "the first seed", natural, 1)
  .option("--minutes <number>", "as many seeds as the time allows", positive)
  .option("--failures <number>", "end after so many failures", positive, 1)
  .option("--no-coverage", "do not print what was exercised")
  .addOption(planted())
  .addOption(threads())
  .addOption(output())
  .action(async ({ seeds, seed, from: first, minutes, failures, mutation, workers, coverage, output: form }: RandomOptions) => {
    const from = seed ?? seeds?.from ?? first;
    const to = seed ?? (seeds || minutes === undefined ? from + (seeds?.count ?? 1_000) - 1 : Number.POSITIVE_INFINITY);
    const result = await runSeedsOn(workers, {
      from,
      to,
      failures,
      folder: FOLDER,
      ...(minutes === undefined ? {} : { milliseconds: minutes * 60_000 }),
      ...(mutation === undefined ? {} : { mutation }),
    });
    process.exitCode = result.failures.length > 0 ? 1 : 0;
    if (form === "json") return json(result);
    result.failures.forEach(printFailure);
    if (coverage) print(reportText(result.coverage));
    const speed = (result.seeds / result.seconds).toFixed(0);
    print(
      `seeds ${from} to ${result.next - 1}: ${result.seeds} histories of ${result.steps} steps in ${result.seconds.toFixed(1)} s (${speed}/s), ${result.failures.length} broke a rule`,
    );
  });

interface ExhaustiveOptions {
  scene: string;
  grain: Grain;
  depth: number;
  faults: number;
  writes: number;
  ticks: number;
  follow: number;
  states: number;
  minutes: number;
  mutation?: string;
  coverage: boolean;
  output: "text" | "json";
}

program
  .command("exhaustive")
  .description("everything that can follow from a scene, to a depth and with a number of faults")
  .addOption(new Option("--scene <name>", "where it begins").choices(["all", ...Object.keys(SCENES)]).default("all"))
  .addOption(new Option("--grain <size>", "how far an agent goes in one event").choices(["step", "batch"]).default("step"))
  .option("--depth <number>", "most events", natural, 6)
  .option("--faults <number>", "most faults", natural, 1)
  .option("--writes <number>", "most writes of the application", natural, 1)
  .option("--ticks <number>", "most waits of 20 s", natural, 1)
  .option("--follow <number>", "every so many states one is followed until the volume is healthy and gone; 0: none", natural, 200)
  .option("--states <number>", "most states of one scene", natural, 2_000_000)
  .option("--minutes <number>", "most time, for all scenes together", positive, 5)
  .option("--no-coverage", "do not print what was exercised")
  .addOption(planted())
  .addOption(output())
  .action(({ scene, follow, minutes, mutation, coverage, output: form, ...bounds }: ExhaustiveOptions) => {
    const result = searchScenes(scene === "all" ? Object.keys(SCENES) : [scene], {
      bounds: { ...bounds, livenessEvery: follow },
      milliseconds: minutes * 60_000,
      folder: FOLDER,
      ...(mutation === undefined ? {} : { mutation }),
      say: form === "json" ? () => undefined : (found) => print(sceneText(found)),
    });
    const failures = result.scenes.flatMap((found) => found.failure ?? []);
    process.exitCode = failures.length > 0 ? 1 : 0;
    if (form === "json") return json(result);
    failures.forEach(printFailure);
    if (coverage) print(reportText(result.coverage));
    const [states, transitions] = [result.scenes.reduce((sum, s) => sum + s.states, 0), result.scenes.reduce((sum, s) => sum + s.transitions, 0)];
    print(`${states} states, ${transitions} transitions in ${result.seconds.toFixed(0)} s (${(states / result.seconds).toFixed(0)} states/s), ${failures.length} broke a rule`);
  });

program
  .command("replay")
  .description("carries a history out again and tells it")
  .argument("<file|seed>", "a file that a failing run wrote, or a seed")
  .addOption(planted())
  .addOption(output())
  .action((what: string, { mutation, output: form }: { mutation?: string; output: "text" | "json" }) => {
    if (!existsSync(what) && !/^\d+$/.test(what)) program.error(`there is no file ${what}, and it is no seed`);
    const { history, end } = existsSync(what) ? readHistory(what) : { history: randomHistory(Number(what), mutation === undefined ? {} : { mutation }).history, end: undefined };
    const { violation } = replay(history);
    const same = end === undefined || end === (violation?.message ?? null);
    process.exitCode = violation || !same ? 1 : 0;
    if (form === "json")
      return json({ beginning: beginningText(history.beginning), steps: history.steps.length, rule: violation?.rule ?? null, message: violation?.message ?? null, sameEnd: same });
    print(tell(history));
    if (!same) print(`the file says otherwise: ${end ?? "every rule holds"}`);
  });

program
  .command("mutations")
  .description("plants faults in the protocol, each of which the rules must find")
  .argument("[name...]", "these only")
  .option("--seeds <number>", "most seeds for each", natural, 3_000)
  .addOption(threads())
  .addOption(output())
  .action(async (names: string[], { seeds, workers, output: form }: { seeds: number; workers: number; output: "text" | "json" }) => {
    const unknown = names.filter((name) => !(name in MUTATIONS));
    if (unknown.length > 0) program.error(`no planted fault ${unknown.join(", ")}; there are ${Object.keys(MUTATIONS).join(", ")}`);
    const proofs = await proveOn(workers, names.length > 0 ? names : Object.keys(MUTATIONS), seeds);
    const missed = proofs.filter((p) => p.rule === null);
    process.exitCode = missed.length > 0 ? 1 : 0;
    if (form === "json") return json(proofs);
    print(proofTable(proofs));
    print(`${proofs.length - missed.length} of ${proofs.length} planted faults found within ${seeds} seeds, or in a scene`);
  });

await program.parseAsync();
