import assert from "node:assert/strict";
import { test } from "node:test";
import type { VolumeStatus } from "../src/api/volume.ts";
import { mirror, ownerOf, volume } from "../src/core/testing/builders.ts";
import { checkVersion } from "./record-rules.ts";

/** What is wrong with this next version, or "nothing". */
function wrong(change: VolumeStatus): string {
  const before = { epoch: 2, owner: ownerOf("a"), mirrors: [mirror(["a", "b"], { generation: 3 })] };
  try {
    checkVersion(volume(before), volume({ ...before, ...change }));
    return "nothing";
  } catch (error) {
    return (error as Error).message;
  }
}

test("the record never goes back in time", () => {
  const { owner: _owner, ...free } = { owner: ownerOf("a"), epoch: 2, mirrors: [mirror(["a", "b"], { generation: 3 })] };
  assert.equal(checkVersion(volume(free), volume({ ...free, epoch: 3, owner: ownerOf("b") })), undefined);
  assert.deepEqual(
    [
      {},
      { mirrors: [mirror(["b", "a"], { generation: 3 })] },
      { mirrors: [mirror(["a"], { generation: 4 })] },
      { epoch: 1 },
      { owner: ownerOf("b") },
      { owner: ownerOf("a", "Unclean", 2) },
    ].map(wrong),
    [
      "nothing",
      "nothing",
      "nothing",
      "record: the epoch goes back from 2 to 1",
      "record: owner b appears without a higher epoch",
      "record: owner a appears without a higher epoch",
    ],
  );
  assert.deepEqual([{ mirrors: [mirror(["a"], { generation: 3 })] }, { mirrors: [mirror(["a", "b"], { generation: 2 })] }, { mirrors: [] }].map(wrong), [
    "record: R of mirror 0 changes in generation 3",
    "record: the generation of mirror 0 goes back",
    "record: mirror 0 leaves the record",
  ]);
});
