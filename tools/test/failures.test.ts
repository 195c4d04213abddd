import assert from "node:assert/strict";
import { test } from "node:test";
import { failuresOf } from "./failures.ts";

test("the reporter's list of failing tests, shortened; else the last lines", () => {
  assert.equal(failuresOf("✔ a\n✖ b\n\n✖ failing tests:\n\n✖ b\n  why\n"), "✖ failing tests:\n\n✖ b\n  why");
  assert.equal(failuresOf("✖ failing tests:\n1\n2\n3", 2), "✖ failing tests:\n1\n… 2 more lines in output.log");
  assert.equal(failuresOf("1\n2\n3\n", 2), "2\n3");
});
