/**
 * Scenarios: test/scenarios/NAME.scenario.ts, test/…/NAME.lab.ts and test/e2e/NAME.e2e.ts, each a process of its own with a lab of its own.
 *
 * A scenario is a file of node:test; its tests are counted one by one. Its first comment begins with
 * one sentence, which the summary shows, and may contain `@minutes N` (its time limit; 20 without) and
 * `@alone` (no other scenario beside it), `@byname` (only when named on the command line). MESHSTOR_ARTEFACTS names the folder for its consoles and
 * logs: kept if it fails.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import type { Ended } from "./command.ts";
import { ROOT, runNode } from "./command.ts";
import { failuresOf } from "./failures.ts";
import { labsAtOnce } from "../labs-at-once.ts";
import { inLanes } from "./lanes.ts";
import { readCounts } from "./node-tests.ts";
import type { Progress } from "./progress.ts";
import type { StageResult } from "./stage.ts";
import { seconds } from "./stage.ts";

const MINUTES = 20;
const SHORT = 80;
/**
 * What the reporter prints when all tests are done; only the list of failed ones comes after it. Node.js 24
 * can hang in its exit then, waiting for a compiler thread (nodejs/node#54918).
 */
const LAST_LINE = { begins: "ℹ duration_ms ", ms: 30_000 };

export interface Scenario {
  /** File name without ".scenario.ts", ".lab.ts" or ".e2e.ts". */
  name: string;
  file: string;
  /** First sentence of the first comment. */
  title: string;
  limitMs: number;
  alone: boolean;
  /** Runs only when it is named; its comment says why. */
  byName: boolean;
}

export function readScenario(file: string, text: string): Scenario {
  const comment = /\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? "";
  const words = comment
    .replaceAll(/^\s*\*/gm, "")
    .replaceAll(/\s+/g, " ")
    .trim();
  const title = /^(.*?[.!?])(\s|$)/.exec(words)?.[1] ?? words.slice(0, 100);
  const minutes = Number(/@minutes (\d+)/.exec(words)?.[1] ?? MINUTES);
  return { name: basename(file).replace(/\.(scenario|lab|e2e)\.ts$/, ""), file, title, limitMs: minutes * 60_000, alone: /@alone\b/.test(words), byName: /@byname\b/.test(words) };
}

export function readScenarios(files: readonly string[]): Scenario[] {
  return files.map((file) => readScenario(file, readFileSync(join(ROOT, file), "utf8")));
}

/** The scenarios of these names; a name that fits none is an error that lists them all. */
export function chooseScenarios(all: readonly Scenario[], names: readonly string[]): Scenario[] {
  const unknown = names.filter((name) => !all.some((scenario) => scenario.name === name));
  if (unknown.length > 0) throw new Error(`no scenario "${unknown.join('", "')}"; there are: ${all.map((scenario) => scenario.name).join(", ")}`);
  return names.length === 0 ? all.filter((scenario) => !scenario.byName) : all.filter((scenario) => names.includes(scenario.name));
}

/** Runs some side by side (as many as the machine bears labs, unless told), the long ones first; those that want no neighbour come last, one by one. */
export async function runScenarios(scenarios: readonly Scenario[], folder: string, progress: Progress, atOnce = labsAtOnce()): Promise<StageResult[]> {
  const longestFirst = scenarios.toSorted((a, b) => b.limitMs - a.limitMs || a.name.localeCompare(b.name));
  const run = (scenario: Scenario) => runScenario(scenario, join(folder, scenario.name), progress);
  const beside = await inLanes(
    longestFirst.filter((scenario) => !scenario.alone),
    atOnce,
    run,
  );
  const alone = await inLanes(
    longestFirst.filter((scenario) => scenario.alone),
    1,
    run,
  );
  return [...beside, ...alone];
}

async function runScenario(scenario: Scenario, artefacts: string, progress: Progress): Promise<StageResult> {
  const { name } = scenario;
  mkdirSync(artefacts, { recursive: true });
  progress.begin(name);
  const ended = await runNode(["--test-reporter=spec", "--test-force-exit", scenario.file], {
    env: { MESHSTOR_ARTEFACTS: artefacts },
    limitMs: scenario.limitMs,
    lastLine: LAST_LINE,
    onLine: (line) => progress.doing(name, line),
  });
  progress.end(name);
  writeFileSync(join(artefacts, "output.log"), ended.output);
  const result = judge(scenario, ended);
  if (result.failed > 0) {
    result.artefacts = relative(ROOT, artefacts);
    progress.say(`FAIL  ${name}  ${seconds(ended.ms)}\n${failuresOf(ended.output)}\nconsoles and logs: ${result.artefacts}`);
  } else {
    rmSync(artefacts, { recursive: true, force: true });
    progress.say(`ok    ${name} (${result.passed})  ${seconds(ended.ms)}`);
  }
  return result;
}

/** A title for a row of the summary. */
function short(title: string): string {
  return title.length <= SHORT ? title : `${title.slice(0, title.lastIndexOf(" ", SHORT)).replace(/[,:;]$/, "")} …`;
}

/** What a scenario's end means: a process that fails beside its tests, or runs none, has failed; one that only did not exit has not. */
export function judge(scenario: Scenario, ended: Ended): StageResult {
  const { passed, failed, skipped } = readCounts(ended.output);
  const sound = (ended.code === 0 || ended.lingered === true) && passed + skipped > 0;
  return { name: scenario.name, passed, skipped, failed: sound ? failed : Math.max(1, failed), ms: ended.ms, output: ended.output, remark: short(scenario.title) };
}
