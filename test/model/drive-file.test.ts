import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PARTITION_OVERHEAD } from "../../src/base/layout.ts";
import { createDriveFile, resolveDrives } from "../../lab/guest/drives.ts";
import { findPlace, guidBytes, readData, readMember } from "./drive-file.ts";

const UUID = "00112233-4455-6677-8899-aabbccddeeff";

test("a UUID as it lies in a partition table", () => {
  assert.equal(guidBytes(UUID).toString("hex"), "33221100554477668899aabbccddeeff");
});

test("a partition is found on the drive that has it, with its data and without a superblock", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "drives-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const drives = resolveDrives("lab", "n1", [{ size: 64 << 20 }, { size: 64 << 20 }], dir);
  drives.forEach(createDriveFile);
  const [, drive] = drives;
  const at = drive!.offset + 2048 * 512;
  const fd = openSync(drive!.path, "r+");
  const entry = Buffer.alloc(128);
  guidBytes(UUID).copy(entry, 16);
  entry.writeBigUInt64LE(2048n, 32);
  writeSync(fd, entry, 0, 128, drive!.offset + 2 * 512);
  writeSync(fd, "write 7\n", at + PARTITION_OVERHEAD + 8192, "latin1");
  closeSync(fd);
  const place = findPlace(drives, UUID)!;
  assert.deepEqual({ index: place.index, at: place.at }, { index: 1, at });
  assert.deepEqual([readMember(place), readData(place, 8192, 8).toString("latin1"), findPlace(drives.slice(0, 1), UUID)], [null, "write 7\n", null]);
});
