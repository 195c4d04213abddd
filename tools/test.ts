/**
 * `npm test`: everything, in this order: set-up, check, simulator, contract tests, scenarios.
 * `npm test -- NAME…` runs the named scenarios only (after set-up); `npm test -- --list` names them.
 * The last line is what CI reads: "N passed, N failed".
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { runCheck } from "./check.ts";
import { dropIfEmpty, newArtefactFolder } from "./test/artefacts.ts";
import { ROOT, runNode } from "./test/command.ts";
import { conclude, enter } from "./test/entry.ts";
import { failuresOf } from "./test/failures.ts";
import { runNodeTests } from "./test/node-tests.ts";
import { Progress } from "./test/progress.ts";
import type { Scenario } from "./test/scenarios.ts";
import { chooseScenarios, readScenarios, runScenarios } from "./test/scenarios.ts";
import type { StageResult } from "./test/stage.ts";
import { seconds } from "./test/stage.ts";
import { contractTests, scenarioFiles } from "./test/test-files.ts";

/** What a warm run may take on two cores; a longer one is reported, not failed (machines differ). */
const BUDGET_MS = 40 * 60_000;
const CONTRACT_TEST_MS = 5 * 60_000;
const CONTRACT_LIMIT_MS = 15 * 60_000;

const SIMULATOR_LIMIT_MS = 15 * 60_000;
/** The simulator's part: histories of the code as it is, and the planted faults, each of which is found within some of the same seeds. */
const SIMULATOR: readonly { name: string; args: readonly string[] }[] = [
  { name: "simulator, 10000 histories", args: ["random", "--seeds", "1..10000", "--failures", "3", "--no-coverage"] },
  { name: "simulator, planted faults", args: ["mutations", "--seeds", "1000"] },
];

const SETUP = "tools/setup/main.ts";

/** Builds or finds what the tests need; its progress is shown as it comes. */
async function runSetup(progress: Progress): Promise<StageResult[]> {
  if (!existsSync(join(ROOT, SETUP))) return [];
  progress.begin("set-up");
  const ended = await runNode([SETUP, "test"], { onLine: (line) => progress.say(line) });
  progress.end("set-up");
  const failed = ended.code === 0 ? 0 : 1;
  return [{ name: "set-up", passed: 1 - failed, failed, skipped: 0, ms: ended.ms, output: ended.output }];
}

async function runContract(progress: Progress): Promise<StageResult[]> {
  const files = contractTests();
  if (files.length === 0) return [];
  progress.begin("contract tests");
  const result = await runNodeTests(files, 2, CONTRACT_TEST_MS, { limitMs: CONTRACT_LIMIT_MS, onLine: (line) => progress.doing("contract tests", line) });
  progress.end("contract tests");
  progress.say(`${result.failed > 0 ? "FAIL" : "ok  "}  contract tests (${result.passed + result.failed + result.skipped})  ${seconds(result.ms)}`);
  if (result.failed > 0) progress.say(failuresOf(result.output));
  return [{ name: "contract tests", remark: "against real etcd and kube-apiserver", ...result }];
}

async function runSimulator(progress: Progress): Promise<StageResult[]> {
  const results: StageResult[] = [];
  for (const { name, args } of SIMULATOR) {
    progress.begin(name);
    const ended = await runNode(["sim/main.ts", ...args], { limitMs: SIMULATOR_LIMIT_MS, onLine: (line) => progress.doing(name, line) });
    progress.end(name);
    const failed = ended.code === 0 ? 0 : 1;
    const remark = ended.output.trimEnd().split("\n").at(-1) ?? "";
    progress.say(`${failed > 0 ? "FAIL" : "ok  "}  ${name}  ${seconds(ended.ms)}\n${failed > 0 ? ended.output : remark}`);
    results.push({ name, remark, passed: 1 - failed, failed, skipped: 0, ms: ended.ms, output: ended.output });
  }
  return results;
}

async function runAll(scenarios: readonly Scenario[], onlyThese: boolean, folder: string, progress: Progress): Promise<StageResult[]> {
  progress.expect(scenarios.length + (onlyThese ? 1 : 3 + SIMULATOR.length));
  const results = await runSetup(progress);
  if (results.some((result) => result.failed > 0)) return results;
  if (!onlyThese) {
    progress.begin("check");
    results.push(...(await runCheck((line) => progress.say(line))));
    progress.end("check");
    results.push(...(await runSimulator(progress)));
    results.push(...(await runContract(progress)));
  }
  results.push(...(await runScenarios(scenarios, folder, progress)));
  return results;
}

async function main(words: readonly string[]): Promise<number> {
  const all = readScenarios(scenarioFiles());
  if (words.includes("--list")) {
    for (const scenario of all) console.log(`${scenario.name}\n    ${scenario.title}`);
    return 0;
  }
  const scenarios = chooseScenarios(all, words);
  const folder = newArtefactFolder(new Date());
  const progress = new Progress();
  const results = await runAll(scenarios, words.length > 0, folder, progress);
  progress.close();
  dropIfEmpty(folder);
  const over = progress.elapsedMs > BUDGET_MS ? ", over it" : "";
  return conclude(results, `${seconds(progress.elapsedMs)} (budget of a warm run: ${seconds(BUDGET_MS)}${over})`);
}

await enter(main);
