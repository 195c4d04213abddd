import assert from "node:assert/strict";
import { test } from "node:test";
import { exported, mirror, ownerOf, part, partition, volume } from "./builders.ts";
import { recordChange } from "./record-text.ts";

test("a change of the record in words", () => {
  const before = volume({ epoch: 1, owner: ownerOf("a"), mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b", { export: exported("b", 1, 1) })] });
  const out = partition("b", { export: exported("b", 1, 1), state: "Missing", outSince: 2, detachedAttach: 1 });
  const after = volume({ epoch: 1, owner: ownerOf("a"), mirrors: [mirror(["a"], { generation: 2 })], partitions: [partition("a"), out] });
  const released = volume({ epoch: 1, lastStop: "Clean", mirrors: [mirror(["a"], { generation: 2 })], partitions: [partition("a"), out] });
  assert.deepEqual(
    [
      recordChange(before, after),
      recordChange(after, released),
      recordChange(after, after),
      recordChange(after, null),
      recordChange(null, volume({ partitions: [partition("a")] })),
    ],
    [
      `R0 = {${part("a").slice(0, 8)}} in generation 2; bbbbbbbb on b: Synced → Missing, out since 2, connection given up: 1`,
      "epoch 1, owner nobody; last stop Clean",
      "nothing of ours",
      "the volume is gone",
      "aaaaaaaa on a: new → Synced",
    ],
  );
});
