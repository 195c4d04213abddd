import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MeshStorError } from "../base/errors.ts";
import { volumeDeviceName } from "./names.ts";
import { isVolumeName, volumeNameFor } from "./volume-name.ts";

describe("volumeNameFor", () => {
  const cases: [string, string][] = [
    ["pvc-3b1a1c1e-0f50-4c2b-9a55-b4ad2a7b1c9d", "pvc-3b1a1c1e-0f50-4c2b-9a55-b4ad2a7b1c9d"],
    ["my-volume", "my-volume"],
    ["a.b-c.d", "a.b-c.d"],
    ["7", "7"],
    ["My_Volume", "my-volume-c6d9b1c4d5"],
    ["a..b", "a.b-HASH"],
    ["a_", "a-HASH"],
    ["a.-.b-", "a.b-HASH"],
    ["x".repeat(118), "x".repeat(118)],
    ["x".repeat(119), `${"x".repeat(107)}-HASH`],
    [`${"x".repeat(106)}.${"y".repeat(21)}`, `${"x".repeat(106)}-HASH`],
  ];
  for (const [requested, wanted] of cases) {
    test(`${requested.slice(0, 40)} (${requested.length})`, () => {
      const name = volumeNameFor(requested);
      assert.equal(name === requested ? name : name.replace(/[0-9a-f]{10}$/, "HASH"), wanted.replace(/-[0-9a-f]{10}$/, "-HASH"));
    });
  }

  for (const requested of ["", "../x", "..", ".a", "-a", "_a", "a/b", 'a"b', "a\nb", "a\n", "a b", "é", "x".repeat(129), "x".repeat(300), "a\0"]) {
    test(`${JSON.stringify(requested.slice(0, 20))} (${requested.length}) is refused`, () => {
      assert.throws(
        () => volumeNameFor(requested),
        (error) => error instanceof MeshStorError && error.code === "InvalidName" && error.message.includes(JSON.stringify(requested.slice(0, 60)).slice(0, -1)),
      );
    });
  }

  const requests = fc.oneof(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/), fc.stringMatching(/^[a-z0-9.-]{1,130}$/), fc.string({ maxLength: 140 }));

  test("property: an allowed request gets a name that everything can carry", () => {
    fc.assert(
      fc.property(requests, (requested) => {
        const allowed = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(requested);
        if (!allowed) {
          assert.throws(() => volumeNameFor(requested), MeshStorError);
          return;
        }
        const name = volumeNameFor(requested);
        assert.match(name, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
        assert.ok(volumeDeviceName(name).length <= 127, String(name.length));
        // Stable: the name of a name is itself.
        assert.equal(volumeNameFor(name), name);
        if (isVolumeName(requested)) assert.equal(name, requested);
      }),
    );
  });

  test("property: different requests get different names", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.stringMatching(/^[AaBb][AaBb._-]{0,6}$/), { minLength: 2, maxLength: 40 }), (requested) => {
        assert.equal(new Set(requested.map(volumeNameFor)).size, requested.length);
      }),
    );
  });
});
