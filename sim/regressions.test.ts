/**
 * Histories that once broke a rule keep every rule. `regressions/*.json` are such histories as they were written when they
 * broke one; `regressions/seeds.txt` lists seeds worth running again. A seed means another history once the
 * model draws differently; a written history keeps most of its meaning.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { readHistory } from "./history-file.ts";
import { replay } from "./history.ts";
import { randomHistory } from "./random.ts";

const FOLDER = join(import.meta.dirname, "regressions");
const SEEDS = readFileSync(join(FOLDER, "seeds.txt"), "utf8")
  .split("\n")
  .map((line) => line.replace(/#.*/, "").trim())
  .filter((line) => line !== "")
  .map(Number);

for (const file of globSync("*.json", { cwd: FOLDER }).toSorted())
  test(`${basename(file, ".json")}: no rule is broken any more`, () => {
    const { history, end } = readHistory(join(FOLDER, file));
    assert.equal(replay(history).violation?.message ?? null, end);
  });

test(`seeds ${SEEDS.join(", ")} keep every rule`, () => {
  const broken = SEEDS.map((seed) => ({ seed, message: randomHistory(seed).end.violation?.message })).filter(({ message }) => message !== undefined);
  assert.deepEqual(broken, []);
});
