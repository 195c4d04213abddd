import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { deviceObjectName } from "./device-name.ts";

test("names of drives", () => {
  const names = ["S4EVNX0R1:1", "LAB-N1-0:1", "s4evnx0r1:1", "S4EVNX0R1:2", "A  B_C:1", "::", `${"X".repeat(60)}:1`].map((drive) =>
    deviceObjectName("n1", drive).replace(/--[0-9a-f]{16}$/, "--HASH"),
  );
  assert.deepEqual(names, ["n1.s4evnx0r1", "n1.lab-n1-0", "n1.s4evnx0r1--HASH", "n1.s4evnx0r1-2--HASH", "n1.a-b-c--HASH", "n1.drive--HASH", `n1.${"x".repeat(40)}--HASH`]);
});

const nodes = fc.stringMatching(/^[a-c]([-.][a-c]){0,3}$/);
// Few letters, so that drives which differ by little are met often; and anything at all.
const drives = fc.oneof(fc.stringMatching(/^[aAbB_ -]{0,6}(:[12])?$/), fc.stringMatching(/^[AB-]{1,5}:1$/), fc.string());

test("property: the API server takes every name", () => {
  fc.assert(
    fc.property(nodes, drives, (node, drive) => {
      assert.match(deviceObjectName(node, drive), /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
    }),
  );
});

test("property: different drives have different names", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(nodes, drives), { minLength: 2, maxLength: 60 }), (all) => {
      const different = new Map(all.map(([node, drive]) => [JSON.stringify([node, drive]), deviceObjectName(node, drive)]));
      assert.equal(new Set(different.values()).size, different.size);
    }),
  );
});
