import assert from "node:assert/strict";
import { test } from "node:test";
import { MiB } from "../../base/units.ts";
import { sameTable, volumeTable, windowTable } from "./table.ts";

test("tables of windows and volumes", () => {
  assert.deepEqual(
    [windowTable("259:3", 519 * MiB), volumeTable(["9:10000"], 512 * MiB), volumeTable(["9:1", "9:2"], 512 * MiB), volumeTable(["9:1", "9:2", "9:3"], 512 * MiB)],
    ["0 1062912 linear 259:3 2048", "0 1048576 linear 9:10000 0", "0 1048576 striped 2 128 9:1 0 9:2 0", "0 1048704 striped 3 128 9:1 0 9:2 0 9:3 0"],
  );
  assert.deepEqual([sameTable("0 8 linear 9:1 0\n", "0 8 linear 9:1 0"), sameTable("0 8 linear 9:1 0", "0 8 linear 9:2 0")], [true, false]);
});
