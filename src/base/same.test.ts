import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { sameJson } from "./same.ts";

test("as deep equality says, whatever the order of keys", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => sameJson(a, b) === isDeepStrictEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)))));
  assert.deepEqual(
    [sameJson({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 }), sameJson({ a: undefined }, {}), sameJson([1], { 0: 1 }), sameJson([1, 2], [1])],
    [true, true, false, false],
  );
});
