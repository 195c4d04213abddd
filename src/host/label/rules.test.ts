import assert from "node:assert/strict";
import { test } from "node:test";
import type { Label } from "./codec.ts";
import { mayStamp } from "./rules.ts";

const label: Label = { v: 1, volume: "v", member: "m", mirror: 0, epoch: 4, generation: 7 };

test("a restored record of the same epoch is refused by the generation, which never goes back (I2, Z20)", () => {
  const at = (recordGeneration: number) => mayStamp({ kind: "label", label }, { ...label, epoch: 5, generation: 0 }, true, recordGeneration)?.code ?? null;
  assert.deepEqual([at(6), at(7), at(8)], ["RecordOlderThanLabel", null, null]);
});
