/** Every hazard and every invariant has its row in docs/explanation/hazards.md, with a file or a dated decision, and the planted faults that it names exist. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { MUTATIONS } from "../../sim/mutations/mutate.ts";
import { ROOT } from "./command.ts";

const PAGE = "docs/explanation/hazards.md";
const numbered = (letter: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);

interface Row {
  number: string;
  what: string;
  avoided: string;
  kept: string;
}

function rows(): Row[] {
  const text = readFileSync(join(ROOT, PAGE), "utf8");
  return [...text.matchAll(/^\| ([ZI]\d+) \| (.+) \| (.+) \| (.+) \|$/gm)].map(([, number = "", what = "", avoided = "", kept = ""]) => ({ number, what, avoided, kept }));
}
const files = (cell: string): string[] => [...cell.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1]!);
const isTest = (file: string): boolean => /\.(test|lab|scenario)\.ts$|\/testing\/|^\.\.\/\.\.\/(sim|test)\//.test(file);
const isDated = (cell: string): boolean => /\b20\d\d-\d\d-\d\d\b/.test(cell);

test("each number has one row, in order", () => {
  assert.deepEqual(
    rows().map((row) => row.number),
    [...numbered("Z", 22), ...numbered("I", 10)],
  );
});

test("a row names the code that avoids it, or a date; and a test, or a date; all of them exist", () => {
  const problems = rows().flatMap(({ number, avoided, kept }) => [
    ...(files(avoided).some((file) => file.includes("/src/")) || isDated(avoided) ? [] : [`${number}: nothing avoids it`]),
    ...(files(kept).some(isTest) || isDated(kept) ? [] : [`${number}: nothing keeps it`]),
    ...[...files(avoided), ...files(kept)].filter((file) => !existsSync(join(ROOT, dirname(PAGE), file))).map((file) => `${number}: ${file} does not exist`),
  ]);
  assert.deepEqual(problems, []);
});

test("planted faults that are named exist", () => {
  const named = rows().flatMap(({ kept }) => [...kept.matchAll(/`([a-z-]+)`/g)].map((match) => match[1]!));
  assert.deepEqual(
    named.filter((name) => !(name in MUTATIONS)),
    [],
  );
});
