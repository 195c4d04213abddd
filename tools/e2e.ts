/**
 * `npm run e2e`: every story with real peers (csi-sanity, the sidecars, kubelet and containerd), after set-up.
 * `npm run e2e -- NAME…` runs the named ones; `npm run e2e -- --list` names them. What a story reports of itself
 * comes before the summary; the last line is "N passed, N failed".
 */
import { reportedLines } from "../test/e2e/report.ts";
import { dropIfEmpty, newArtefactFolder } from "./test/artefacts.ts";
import { endAllCommands, runNode } from "./test/command.ts";
import { failuresOf } from "./test/failures.ts";
import { Progress } from "./test/progress.ts";
import { chooseScenarios, readScenarios, runScenarios } from "./test/scenarios.ts";
import { closingLine, seconds, total } from "./test/stage.ts";
import { summaryTable } from "./test/summary.ts";
import { e2eFiles } from "./test/test-files.ts";

const AT_THE_END = 20;

async function main(words: readonly string[]): Promise<number> {
  const all = readScenarios(e2eFiles());
  if (words.includes("--list")) {
    for (const story of all) console.log(`${story.name}\n    ${story.title}`);
    return 0;
  }
  const stories = words.length === 0 ? all : chooseScenarios(all, words);
  const folder = newArtefactFolder(new Date());
  const progress = new Progress();
  progress.expect(stories.length + 1);
  progress.begin("set-up");
  const setup = await runNode(["tools/setup/main.ts", "e2e"], { onLine: (line) => progress.say(line) });
  progress.end("set-up");
  if (setup.code !== 0) throw new Error(`set-up failed:\n${setup.output}`);
  const results = await runScenarios(stories, folder, progress);
  progress.close();
  dropIfEmpty(folder);
  const reported = results.flatMap(({ output }) => reportedLines(output));
  if (reported.length > 0) console.log(`\n${reported.join("\n")}`);
  console.log(`\n${summaryTable(results)}\n`);
  for (const { name, output } of results.filter((result) => result.failed > 0)) console.log(`${name}:\n${failuresOf(output, AT_THE_END)}\n`);
  const counts = total(results);
  console.log(`time ${seconds(progress.elapsedMs)}`);
  console.log(closingLine(counts));
  return counts.failed === 0 && counts.passed > 0 ? 0 : 1;
}

for (const [name, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(name, () => {
    endAllCommands();
    process.exit(code);
  });
}
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.log(closingLine({ passed: 0, failed: 1, skipped: 0 }));
  process.exitCode = 1;
}
