import assert from "node:assert/strict";
import { test } from "node:test";
import { sentencesIn } from "./sentences.ts";

test("sentences of a source text, with what is filled in left open; comments, imports and words alone are none", () => {
  const source = [
    'import { x } from "not a sentence here";',
    "/* nor is this one `at all` */",
    'say("one plain sentence here"); // "but not this one"',
    'wait(`node ${[...names].map((n) => `no ${n} at all`).join(", ")} holds the (last) copy`);',
    'const kind = "word";',
    "function f() { return { why: `in ${{ a: 1 }.a} sync again` }; }",
  ].join("\n");
  const found = sentencesIn("f.ts", source);
  assert.deepEqual(
    found.map(({ text }) => text),
    ["one plain sentence here", "no … at all", "node … holds the (last) copy", "in … sync again"],
  );
  assert.deepEqual(
    ["node a, b holds the (last) copy", "node a holds the copy"].map((said) => found[2]!.pattern.test(said)),
    [true, false],
  );
});
