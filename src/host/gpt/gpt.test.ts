import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PARTITION_TYPE } from "../../api/names.ts";
import type { DriveTable } from "../../core/observed.ts";
import { GiB, MiB } from "../../base/units.ts";
import { parseExport, parseSfdisk, partitionNumber } from "./parse.ts";
import { mayCreate } from "./partition.ts";
import { sampleOffsets, zeroSteps } from "./zero.ts";

/** sfdisk --json of util-linux 2.41.5. */
const SFDISK = `{
   "partitiontable": {
      "label": "gpt",
      "id": "6405ED3A-3908-491E-B998-3016849EF221",
      "device": "/dev/nvme1n1",
      "unit": "sectors",
      "firstlba": 2048,
      "lastlba": 4194270,
      "sectorsize": 512,
      "partitions": [
         {
            "node": "/dev/nvme1n1p1",
            "start": 2048,
            "size": 1433600,
            "type": "6D657368-5374-4F72-A1B2-564F4C554D45",
            "uuid": "11111111-AAAA-4BBB-8CCC-000000000001",
            "name": "meshstor-x-m0"
         }
      ]
   }
}`;

const table: DriveTable = {
  drive: "S:1",
  label: "gpt",
  firstUsableByte: MiB,
  lastUsableByte: GiB - MiB - 1,
  entries: [{ number: 1, startBytes: 16 * MiB, sizeBytes: 100 * MiB, uuid: "u1", type: PARTITION_TYPE, name: "n" }],
  maxEntries: 2,
  signature: null,
  usedBy: null,
};

test("a partition fits only into free space of a GPT that nobody uses as a whole (I9)", () => {
  const at = (startBytes: number, sizeBytes: number, change: Partial<DriveTable> = {}) => mayCreate({ ...table, ...change }, { startBytes, sizeBytes }, 4096);
  assert.deepEqual(
    [
      at(116 * MiB, 100 * MiB),
      at(MiB, 15 * MiB),
      at(115 * MiB, 100 * MiB),
      at(0, MiB),
      at(1000 * MiB, 24 * MiB),
      at(116 * MiB + 512, 4096),
      at(116 * MiB, MiB, { label: "dos" }),
      at(116 * MiB, MiB, { usedBy: "dm-0" }),
      at(116 * MiB, MiB, { maxEntries: 1 }),
    ],
    [
      null,
      null,
      "partition 1 (u1) lies in byte 120586240 to 225443840",
      "byte 0 to 1048576 is outside of the usable space",
      "byte 1048576000 to 1073741824 is outside of the usable space",
      "byte 121635328, 4096 bytes, is not in whole sectors",
      "its partition table is 'dos', not gpt",
      "the whole drive is in use (dm-0)",
      "all 1 entries are used",
    ],
  );
});

test("zeroing covers every byte once, the metadata first, and by command in few steps", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 * 1024 * 1024 }), fc.boolean(), (mebibytes, byCommand) => {
      const size = mebibytes * MiB;
      const steps = zeroSteps(size, byCommand);
      let next = 0;
      for (const [offset, length] of steps) {
        assert.equal(offset, next);
        assert.ok(length > 0);
        next = offset + length;
      }
      assert.equal(next, size);
      if (byCommand) assert.ok(steps.length <= 9);
    }),
    { numRuns: 50 },
  );
});

test("samples lie inside, in whole blocks, at both ends, and are the same for the same partition", () => {
  const offsets = sampleOffsets(GiB, "11111111-aaaa-4bbb-8ccc-000000000001");
  assert.deepEqual(offsets, sampleOffsets(GiB, "11111111-aaaa-4bbb-8ccc-000000000001"));
  assert.ok(offsets.length > 10 && offsets.every((o) => o % 4096 === 0 && o >= 0 && o + 65_536 <= GiB));
  assert.deepEqual([offsets[0], offsets.at(-1)], [0, GiB - 65_536]);
});

test("what sfdisk and blkid print", () => {
  assert.equal(parseSfdisk("sfdisk: cannot open", "S:1", 512), null);
  assert.equal(parseSfdisk("{}", "S:1", 512), null);
  assert.deepEqual(parseSfdisk(SFDISK, "S:1", 512), {
    drive: "S:1",
    label: "gpt",
    firstUsableByte: MiB,
    lastUsableByte: 4_194_271 * 512 - 1,
    entries: [{ number: 1, startBytes: MiB, sizeBytes: 700 * MiB, uuid: "11111111-aaaa-4bbb-8ccc-000000000001", type: PARTITION_TYPE, name: "meshstor-x-m0" }],
    maxEntries: 128,
    signature: null,
    usedBy: null,
  });
  assert.deepEqual(["/dev/nvme0n1p12", "/dev/sda3"].map(partitionNumber), [12, 3]);
  assert.deepEqual(parseExport("DEVNAME=/dev/x\nLABEL=a\\ b\\=c\nTYPE=xfs\n\nnothing\n"), { DEVNAME: "/dev/x", LABEL: "a b=c", TYPE: "xfs" });
});
