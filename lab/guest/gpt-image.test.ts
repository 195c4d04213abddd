import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, ftruncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { writeEmptyGpt } from "./gpt-image.ts";

const MIB = 1_048_576;

for (const sectorSize of [512, 4096]) {
  test(`an empty GPT for ${sectorSize}-byte sectors has two headers that agree`, () => {
    const dir = mkdtempSync(join(tmpdir(), "gpt-"));
    const fd = openSync(join(dir, "drive"), "w+");
    try {
      ftruncateSync(fd, 9 * MIB);
      writeEmptyGpt(fd, MIB, 8 * MIB, sectorSize);
      const lastLba = (8 * MIB) / sectorSize - 1;
      const first = header(fd, MIB + sectorSize);
      const last = header(fd, MIB + lastLba * sectorSize);
      assert.deepEqual([first.own, first.other], [1, lastLba]);
      assert.deepEqual([last.own, last.other], [lastLba, 1]);
      assert.equal(first.firstUsable, MIB / sectorSize);
      assert.equal(first.lastUsable, last.own - (128 * 128) / sectorSize - 1);
      assert.ok(first.sound && last.sound);
    } finally {
      closeSync(fd);
      rmSync(dir, { recursive: true });
    }
  });
}

function header(fd: number, position: number) {
  const bytes = Buffer.alloc(92);
  readSync(fd, bytes, 0, 92, position);
  const stored = bytes.readUInt32LE(16);
  bytes.writeUInt32LE(0, 16);
  const number = (at: number): number => Number(bytes.readBigUInt64LE(at));
  return { own: number(24), other: number(32), firstUsable: number(40), lastUsable: number(48), sound: crc32(bytes) === stored };
}
