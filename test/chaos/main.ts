/**
 * The proof in the lab: `npm run chaos -- --minutes N --seed S` draws cases at random, `--cover` runs the pairwise cover of all axes and
 * leaves out what the ledger has as proven, `--list` says what there is. Ends with 1 if a case is not ok.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { prng } from "../../src/core/testing/prng.ts";
import { AXES, caseNamed, coverOf, everyCase, nameOf, worldOf, type Case, type Only } from "./case.ts";
import { FAULTS } from "./faults.ts";
import { addToLedger, provenNames, readLedger, tableOf, type Entry } from "./ledger.ts";
import { Runner } from "./runner.ts";

const ROOT = join(import.meta.dirname, "../..");
const FOLDER = join(ROOT, "artefacts/chaos");

/** Cases that are drawn for one world before another one is drawn. */
const CASES_OF_A_WORLD = 5;

interface Options extends Only {
  readonly minutes?: number;
  readonly seed: number;
  readonly cover?: boolean;
  readonly list?: boolean;
  readonly again?: boolean;
  readonly share: readonly [number, number];
  readonly ledger: string;
  readonly output: "table" | "json";
}

const begun = performance.now();
const elapsedMs = () => performance.now() - begun;
const say = (line: string): void => void process.stderr.write(`chaos: ${(elapsedMs() / 1000).toFixed(0)} s: ${line}\n`);

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("a number above zero is wanted");
  return value;
}

/** Cases without end, some of one world at a time. */
function* drawn(seed: number, only: Only): Generator<Case> {
  const choices = prng(seed);
  const cases = everyCase(only);
  if (cases.length === 0) return;
  const worlds = [...new Set(cases.map(worldOf))];
  for (;;) {
    const world = choices.pick(worlds);
    const here = cases.filter((each) => worldOf(each) === world);
    for (let count = 0; count < CASES_OF_A_WORLD; count += 1) yield choices.pick(here);
  }
}

function chosen(options: Options): Iterable<Case> {
  const axes = Object.keys(AXES) as (keyof Case)[];
  const only: Only = Object.fromEntries(axes.flatMap((axis) => (options[axis] === undefined ? [] : [[axis, options[axis]]])));
  // Random cases are of process guests unless asked otherwise: one emulated case takes the time of five.
  if (options.cover !== true) return drawn(options.seed, { guests: ["process"], ...only });
  const proven = options.again === true ? [] : [...provenNames(readLedger(options.ledger))].map(caseNamed).filter((each) => each !== null);
  const open = coverOf(only, proven);
  const mine = shareOf(open, options.share);
  say(`${proven.length} cases are proven in the ledger; ${open.length} more cover all pairs${mine.length < open.length ? `, ${mine.length} of them are of this share` : ""}`);
  return mine;
}

/** `2/3`: the second third. */
function share(text: string): readonly [number, number] {
  const [nth = 0, of = 0] = text.split("/").map(Number);
  if (!(Number.isInteger(nth) && Number.isInteger(of) && nth >= 1 && nth <= of)) throw new InvalidArgumentError("a share as 2/3 is wanted");
  return [nth, of];
}

function shareOf(cases: readonly Case[], [nth, of]: readonly [number, number]): Case[] {
  return cases.slice(Math.round(((nth - 1) * cases.length) / of), Math.round((nth * cases.length) / of));
}

function list(form: Options["output"]): void {
  const faults = FAULTS.map(({ name, title, only }) => ({ name, title, guests: only ?? "process, emulated" }));
  const cover = coverOf().map(nameOf);
  if (form === "json") return void process.stdout.write(`${JSON.stringify({ axes: AXES, faults, cover }, null, 2)}\n`);
  for (const { name, title } of faults) process.stdout.write(`${name}\n    ${title}\n`);
  process.stdout.write(`\n${faults.length} faults; ${everyCase().length} cases, ${cover.length} in the cover of all pairs\n`);
}

function setUp(only: Only): void {
  say("set-up (nothing is done twice)");
  const steps = ["lab", ...(only.kernel?.every((series) => series === "6.12") === true ? [] : ["uml-kernel-7.2"])];
  execFileSync(process.execPath, [join(ROOT, "tools/setup/main.ts"), ...steps], { stdio: ["ignore", 2, 2] });
}

async function run(options: Options): Promise<void> {
  const cases = chosen(options);
  setUp(options);
  if (options.cover !== true) say(`seed ${options.seed}`);
  const runner = new Runner(FOLDER, say);
  const entries: Entry[] = [];
  const limitMs = (options.minutes ?? (options.cover === true ? Number.POSITIVE_INFINITY : 10)) * 60_000;
  try {
    for (const each of cases) {
      if (elapsedMs() > limitMs) break;
      const entry = await runner.run(each);
      addToLedger(options.ledger, entry);
      entries.push(entry);
      say(`${entry.name}: ${entry.verdict}${entry.message === undefined ? "" : `: ${entry.message}`}`);
    }
  } finally {
    await runner.close();
  }
  const failed = entries.filter(({ verdict }) => verdict !== "ok").length;
  if (options.output === "json") process.stdout.write(`${JSON.stringify({ seed: options.seed, seconds: Math.round(elapsedMs() / 1000), failed, cases: entries }, null, 2)}\n`);
  else process.stdout.write(`${tableOf(entries)}\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

const program = new Command("chaos").description("Faults in the lab, and what they may not do to a volume.");
program
  .option("--minutes <number>", "no case begins later (10 for random cases, no limit for the cover)", positive)
  .option("--seed <number>", "random cases: the same seed, the same cases", positive, 1)
  .option("--cover", "the pairwise cover of all axes, without what the ledger has as proven")
  .option("--again", "with --cover: also what is proven")
  .option("--share <n/m>", "with --cover: the n-th of m parts, for runs side by side", share, [1, 1] as const)
  .option("--list", "what there is")
  .option("--ledger <file>", "where results are added", join(FOLDER, "ledger.jsonl"))
  .addOption(new Option("--output <form>", "how the result is printed").choices(["table", "json"]).default("table"));
for (const [axis, values] of Object.entries(AXES)) program.addOption(new Option(`--${axis} <values...>`, "these values only").choices([...values]));
program.action(async (options: Options) => {
  if (options.list === true) list(options.output);
  else await run(options);
});
await program.parseAsync();
process.exit();
