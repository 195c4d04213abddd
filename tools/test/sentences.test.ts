import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";

const PAGE = "docs/explanation/without-a-human.md";

test("every sentence that the documentation promises is one that the program says", () => {
  const rows = readFileSync(PAGE, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| what"));
  const program = globSync("src/**/*.ts", { exclude: (path) => path.includes(".test.") })
    .map((path) => readFileSync(path, "utf8"))
    .join("\n");
  const parts = rows.flatMap((row) => {
    const sentence = /^\|[^|]*\| `([^`]+)` \|/.exec(row)?.[1];
    assert.ok(sentence, `a sentence in: ${row}`);
    return sentence.split("…").map((part) => part.trim().replace(/^[,:;]\s*/, ""));
  });
  assert.ok(rows.length >= 8);
  assert.deepEqual(
    parts.filter((part) => part.length > 2 && !program.includes(part)),
    [],
  );
});
