import assert from "node:assert/strict";
import { test } from "node:test";
import { MiB } from "../../base/units.ts";
import { isLongerOnly } from "./grow.ts";
import { errorTable, sameTable, volumeTable, windowTable } from "./table.ts";

test("tables of windows and volumes", () => {
  assert.deepEqual(
    [windowTable("259:3", 519 * MiB), volumeTable(["9:10000"], 512 * MiB), volumeTable(["9:1", "9:2"], 512 * MiB), volumeTable(["9:1", "9:2", "9:3"], 512 * MiB)],
    ["0 1062912 linear 259:3 2048", "0 1048576 linear 9:10000 0", "0 1048576 striped 2 128 9:1 0 9:2 0", "0 1048704 striped 3 128 9:1 0 9:2 0 9:3 0"],
  );
  assert.deepEqual([sameTable("0 8 linear 9:1 0\n", "0 8 linear 9:1 0"), sameTable("0 8 linear 9:1 0", "0 8 linear 9:2 0")], [true, false]);
});

test("a device that grows keeps everything but its length", () => {
  const [before, after] = [volumeTable(["9:1", "9:2"], 512 * MiB), volumeTable(["9:1", "9:2"], 640 * MiB)];
  assert.deepEqual(
    [
      isLongerOnly(before, after),
      isLongerOnly(after, before),
      isLongerOnly(before, volumeTable(["9:2", "9:1"], 640 * MiB)),
      isLongerOnly("0 8 error", after),
      errorTable(512 * MiB),
    ],
    [true, false, false, false, "0 1048576 error"],
  );
});
