/**
 * `npm run check`: format, lint with the layer rule, types, unit tests and generated files.
 * No root, no network once the packages are there, under half a minute; one line per step, and the
 * whole output of a step that fails.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureGeneratedCsi } from "./setup/proto.ts";
import { endAllCommands, ROOT, runNode } from "./test/command.ts";
import { inLanes } from "./test/lanes.ts";
import { runNodeTests } from "./test/node-tests.ts";
import type { StageResult } from "./test/stage.ts";
import { seconds } from "./test/stage.ts";
import { unitTests } from "./test/test-files.ts";

interface Step {
  name: string;
  run(): Promise<Omit<StageResult, "name">>;
}

/** A step that is one program: it passes when the program ends with 0. */
function program(name: string, ...args: string[]): Step {
  return {
    name,
    run: async () => {
      const { code, output, ms } = await runNode(args);
      return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0, output, ms };
    },
  };
}

const bin = (name: string) => join("node_modules", ".bin", name);

/** Each writes files from one source in the code; with --check it says whether they are what it would write. */
const GENERATORS = ["tools/generate-crds.ts", "tools/generate-chart.ts", "tools/generate-docs.ts"].filter((file) => existsSync(join(ROOT, file)));

/** Bounds of one unit test, and of all: generous, because the machine may be busy. */
const UNIT_TEST_MS = 60_000;
const UNIT_TESTS_MS = 600_000;

/** The longest first: two run at a time. */
const STEPS: readonly Step[] = [
  { name: "unit tests", run: () => runNodeTests(unitTests(), 2, UNIT_TEST_MS, { limitMs: UNIT_TESTS_MS }) },
  program("types", bin("tsc"), "--project", "tsconfig.json"),
  program("lint and layers", bin("oxlint"), "--type-aware", "--deny-warnings"),
  program("types of the core (no Node.js)", bin("tsc"), "--project", "tsconfig.core.json"),
  program("format", bin("oxfmt"), "--check", "."),
  ...GENERATORS.map((file) => program(`${file} --check`, file, "--check")),
];

/** Runs every step; `say` gets one line each as it ends, and the output of those that fail. */
export async function runCheck(say: (line: string) => void): Promise<StageResult[]> {
  if (await ensureGeneratedCsi()) say("generated src/csi/gen");
  return inLanes(STEPS, 2, async (step) => {
    const result = await step.run();
    const count = result.passed + result.failed + result.skipped;
    say(`${result.failed === 0 ? "ok  " : "FAIL"}  ${step.name}${count > 1 ? ` (${count})` : ""}  ${seconds(result.ms)}`);
    if (result.failed > 0) say(result.output.trimEnd());
    return { name: step.name, ...result };
  });
}

if (import.meta.main) {
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => (endAllCommands(), process.exit(130)));
  const started = performance.now();
  const results = await runCheck((line) => console.log(line));
  const failed = results.filter((result) => result.failed > 0).map((result) => result.name);
  console.log(failed.length === 0 ? `check passed in ${seconds(performance.now() - started)}` : `check failed: ${failed.join(", ")}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
