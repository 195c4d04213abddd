/**
 * `npm run e2e`: every story with real peers (csi-sanity, the sidecars, kubelet and containerd), after set-up.
 * `npm run e2e -- NAME…` runs the named ones; `npm run e2e -- --list` names them. What a story reports of itself
 * comes before the summary; the last line is "N passed, N failed".
 */
import { reportedLines } from "../test/e2e/report.ts";
import { labsAtOnce } from "./labs-at-once.ts";
import { dropIfEmpty, newArtefactFolder } from "./test/artefacts.ts";
import { runNode } from "./test/command.ts";
import { conclude, enter } from "./test/entry.ts";
import { Progress } from "./test/progress.ts";
import { chooseScenarios, readScenarios, runScenarios } from "./test/scenarios.ts";
import { seconds } from "./test/stage.ts";
import { e2eFiles } from "./test/test-files.ts";

/** A node with kubelet, containerd and its images takes more memory and processor than a lab's other guests. */
const STORIES_AT_ONCE = Math.max(1, labsAtOnce() - 1);

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
  const results = await runScenarios(stories, folder, progress, STORIES_AT_ONCE);
  progress.close();
  dropIfEmpty(folder);
  const reported = results.flatMap(({ output }) => reportedLines(output));
  if (reported.length > 0) console.log(`\n${reported.join("\n")}`);
  return conclude(results, seconds(progress.elapsedMs));
}

await enter(main);
