import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";

import { MeshStorError } from "../base/errors.ts";
import { GiB, MiB } from "../base/units.ts";
import { checkPage, checkPath, checkSize, MINIMUM_CAPACITY, nodesWithin, pageToken, readTopology } from "./checks.ts";
import { CapacityRangeSchema, TopologyRequirementSchema, TopologySchema } from "./gen/csi_pb.ts";

const range = (required: number | bigint, limit: number | bigint) => create(CapacityRangeSchema, { requiredBytes: BigInt(required), limitBytes: BigInt(limit) });
const KEY = "topology.io.meshstor.csi.mesh/node";

function sizeOf(required: number | bigint, limit: number | bigint = 0): number | string {
  try {
    return checkSize(range(required, limit)).capacityBytes;
  } catch (error) {
    return (error as MeshStorError).code;
  }
}

test("sizes: the default, the minimum, whole MiB, within the limit", () => {
  assert.deepEqual(checkSize(undefined), { capacityBytes: GiB, atLeast: 512 * MiB, atMost: GiB });
  assert.deepEqual(
    [sizeOf(0, 700 * MiB + 1), sizeOf(512 * MiB), sizeOf(512 * MiB + 1), sizeOf(512 * MiB + 1, 513 * MiB), sizeOf(2 * GiB, 3 * GiB)],
    [700 * MiB, 512 * MiB, 513 * MiB, 513 * MiB, 2 * GiB],
  );
  const refused = [sizeOf(511 * MiB), sizeOf(0, 511 * MiB), sizeOf(2 * GiB, GiB), sizeOf(512 * MiB + 1, 512 * MiB + 2), sizeOf(-1), sizeOf(2n ** 62n), sizeOf(GiB, -1)];
  assert.deepEqual(
    refused,
    Array.from({ length: refused.length }, () => "SizeOutOfRange"),
  );
});

test("property: a size is in whole MiB, at least the minimum and what is required, at most the limit", () => {
  const bytes = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4 * GiB }));
  fc.assert(
    fc.property(bytes, bytes, (required, limit) => {
      const size = sizeOf(required, limit);
      if (typeof size === "string") return;
      assert.ok(size % MiB === 0 && size >= MINIMUM_CAPACITY && size >= required && (limit === 0 || size <= limit));
    }),
  );
});

test("paths come out in their shortest form", () => {
  assert.deepEqual(
    ["/a//b/", "/a b/ü"].map((path) => checkPath("target_path", path)),
    ["/a/b", "/a b/ü"],
  );
  assert.throws(() => checkPath("target_path", `/${"x".repeat(5000)}`), /longer than 4095 bytes/);
});

test("topology: the first preferred node, and the requisite ones; other drivers' keys say nothing", () => {
  const node = (name: string) => ({ segments: { [KEY]: name } });
  const requirement = create(TopologyRequirementSchema, { requisite: [node("a"), node("b"), node("a"), { segments: { zone: "z" } }], preferred: [node("b"), node("a")] });
  assert.deepEqual(readTopology(requirement), { preferredNodes: ["b"], favouredNodes: ["a", "b"] });
  assert.deepEqual(readTopology(undefined), { preferredNodes: [], favouredNodes: [] });
  assert.deepEqual(nodesWithin(create(TopologySchema, node("a"))), ["a"]);
  assert.deepEqual(nodesWithin(create(TopologySchema, { segments: { zone: "z" } })), []);
  assert.equal(nodesWithin(undefined), undefined);
  assert.equal(nodesWithin(create(TopologySchema, {})), undefined);
});

test("property: a page token is read back; anything else is refused", () => {
  fc.assert(fc.property(fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,60}$/), (name) => assert.deepEqual(checkPage(3, pageToken(name)), { maxEntries: 3, after: name })));
  for (const token of ["invalid-token", "/", pageToken("x").slice(1)]) assert.throws(() => checkPage(0, token), { code: "BadPageToken" });
  assert.throws(() => checkPage(-1, ""), { code: "InvalidParameter" });
  assert.deepEqual(checkPage(0, ""), { maxEntries: 0, after: "" });
});
