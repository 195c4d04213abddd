/** Which processor a process guest gets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { choose, processors } from "./processor.ts";

test("a list of processors", () => {
  assert.deepEqual([processors("0-2,5\n"), processors("3"), processors("")], [[0, 1, 2, 5], [3], []]);
});

test("the one with the fewest guests; those that boot together take one each", () => {
  assert.deepEqual(
    [0, 1, 2].map((place) => choose([0, 1], [], place)),
    [0, 1, 0],
  );
  assert.deepEqual(
    [0, 1, 2].map((place) => choose([0, 1], [0, 1, 0], place)),
    [1, 0, 1],
  );
  assert.equal(choose([2, 4], [4, 4, 2, 7], 0), 2);
});
