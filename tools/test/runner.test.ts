import assert from "node:assert/strict";
import { test } from "node:test";
import { runNode } from "./command.ts";
import { inLanes } from "./lanes.ts";
import { readCounts } from "./node-tests.ts";
import { chooseScenarios, judge, readScenario } from "./scenarios.ts";
import type { StageResult } from "./stage.ts";
import { closingLine, seconds, total } from "./stage.ts";
import { summaryTable } from "./summary.ts";

const scenario = readScenario("test/scenarios/a-loss.scenario.ts", "/**\n * A provider loses power\n * under load. More follows.\n *\n * @minutes 12\n */\n");

test("a scenario's comment says its title, its limit and whether it wants to be alone", () => {
  const loss = { name: "a-loss", file: "test/scenarios/a-loss.scenario.ts", title: "A provider loses power under load.", limitMs: 720_000, alone: false, byName: false };
  assert.deepEqual(scenario, loss);
  const plain = readScenario("test/scenarios/b.scenario.ts", "/** Short. @alone */");
  assert.deepEqual(plain, { name: "b", file: "test/scenarios/b.scenario.ts", title: "Short.", limitMs: 1_200_000, alone: true, byName: false });
});

test("an unknown scenario is refused with the names there are", () => {
  assert.throws(() => chooseScenarios([scenario], ["nothing"]), /no scenario "nothing"; there are: a-loss/);
  assert.deepEqual(chooseScenarios([scenario], []), [scenario]);
});

test("how a scenario's end is judged", () => {
  const counted = (pass: number, fail: number) => `✔ a\nℹ tests 3\nℹ pass ${pass}\nℹ fail ${fail}\nℹ cancelled 0\nℹ skipped 0\n`;
  const judged = (code: number | null, output: string) => {
    const { passed, failed, skipped } = judge(scenario, { code, output, ms: 5 });
    return { passed, failed, skipped };
  };
  assert.deepEqual(
    [judged(0, counted(3, 0)), judged(1, counted(2, 1)), judged(1, counted(3, 0)), judged(0, ""), judged(null, "ended by the runner")],
    [
      { passed: 3, failed: 0, skipped: 0 },
      { passed: 2, failed: 1, skipped: 0 },
      { passed: 3, failed: 1, skipped: 0 },
      { passed: 0, failed: 1, skipped: 0 },
      { passed: 0, failed: 1, skipped: 0 },
    ],
  );
});

test("the totals of Node's reporter, and the closing line made of them", () => {
  assert.deepEqual(readCounts("✔ a\nℹ tests 5\nℹ pass 2\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 0\n"), { passed: 2, failed: 2, skipped: 1 });
  assert.equal(closingLine({ passed: 2, failed: 2, skipped: 1 }), "2 passed, 2 failed, 1 skipped");
  assert.equal(
    closingLine(
      total([
        { passed: 2, failed: 0, skipped: 0 },
        { passed: 1, failed: 0, skipped: 0 },
      ]),
    ),
    "3 passed, 0 failed",
  );
});

test("times are short", () => {
  assert.deepEqual([40, 9_960, 99_400, 200_400].map(seconds), ["0.0 s", "10 s", "99 s", "3 min 20 s"]);
});

test("the summary names the folder of a failure in full", () => {
  const base = { output: "", ms: 1_000 };
  const results: StageResult[] = [
    { ...base, name: "unit tests", passed: 7, failed: 0, skipped: 0 },
    { ...base, name: "loss", passed: 0, failed: 1, skipped: 0, remark: "A loss.", artefacts: "artefacts/1/loss" },
  ];
  assert.equal(summaryTable(results, 40), "  ok    unit tests        1.0 s  7 of 7\n  FAIL  loss              1.0 s  A loss.  -> artefacts/1/loss");
});

test("lanes keep the order of results and the bound", async () => {
  let now = 0;
  let most = 0;
  const results = await inLanes([3, 1, 2], 2, async (n) => {
    most = Math.max(most, ++now);
    await new Promise((done) => setTimeout(done, n * 5));
    now -= 1;
    return n * 10;
  });
  assert.deepEqual({ results, most }, { results: [30, 10, 20], most: 2 });
});

test("a program that takes too long is ended with all it started", async () => {
  const lines: string[] = [];
  const code = 'require("child_process").spawn("sleep", ["60"], { stdio: "inherit" }); console.log("begun")';
  const ended = await runNode(["-e", code], { limitMs: 1_500, onLine: (line) => lines.push(line) });
  assert.deepEqual({ lines, within: ended.ms < 15_000, said: /ended by the runner/.test(ended.output) }, { lines: ["begun"], within: true, said: true });
});

test("a program that said its last line and does not exit is ended; its counts hold", async () => {
  const hangs = (text: string) =>
    runNode(["-e", `console.log(${JSON.stringify(text)}); setInterval(() => {}, 1000)`], { limitMs: 60_000, lastLine: { begins: "ℹ duration_ms ", ms: 50 } });
  const scenario = readScenario("test/scenarios/x.scenario.ts", "/** X. */");
  const judged = async (pass: number, fail: number) => {
    const ended = await hangs(`ℹ pass ${pass}\nℹ fail ${fail}\nℹ duration_ms 5`);
    const { passed, failed } = judge(scenario, ended);
    return [ended.lingered, passed, failed];
  };
  assert.deepEqual(
    [await judged(3, 0), await judged(2, 1)],
    [
      [true, 3, 0],
      [true, 2, 1],
    ],
  );
});
