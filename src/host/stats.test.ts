import assert from "node:assert/strict";
import { test } from "node:test";
import { filesystemUsage, parseStatfs } from "./stats.ts";

test("statfs as stat prints it", () => {
  assert.deepEqual(parseStatfs("4096 114688 113840 113840 262144 262141\n"), {
    totalBytes: 469_762_048,
    usedBytes: 3_473_408,
    availableBytes: 466_288_640,
    totalInodes: 262_144,
    usedInodes: 3,
    freeInodes: 262_141,
  });
  assert.deepEqual(["", "1 2 3", "4096 a b c d e", "4096 -1 0 0 0 0"].map(parseStatfs), [null, null, null, null]);
});

test("the usage of a real filesystem", async () => {
  const usage = await filesystemUsage("/");
  assert.ok(usage.totalBytes > 0 && usage.usedBytes >= 0);
});
