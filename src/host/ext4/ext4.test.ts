import assert from "node:assert/strict";
import { test } from "node:test";
import { MiB } from "../../base/units.ts";
import { markAt, markOf, mkfsArguments } from "./make.ts";
import { readExt4 } from "./superblock.ts";

const UUID = "33333333-aaaa-4bbb-8ccc-000000000003";

/** Bytes 0x30 to 0x77 of the superblock that mkfs.ext4 1.47.0 wrote with this UUID; hex. */
const PART = "6a98016b0000ffff53ef0100020000006a98016b000000000000000001000000000000000b000000000100003c000000c20200006b04000033333333aaaa4bbb8ccc000000000003";

function head(change: (bytes: Buffer) => void = () => {}): Buffer {
  const bytes = Buffer.alloc(4096);
  Buffer.from(PART, "hex").copy(bytes, 1024 + 0x30);
  change(bytes);
  return bytes;
}

test("a superblock as made, one that met errors, one not unmounted, and none", () => {
  const state = (value: number) => (bytes: Buffer) => void bytes.writeUInt16LE(value, 1024 + 0x3a);
  assert.deepEqual(
    [readExt4(head()), readExt4(head(state(3))), readExt4(head(state(0))), readExt4(Buffer.alloc(4096)), readExt4(Buffer.alloc(64))],
    [{ uuid: UUID, clean: true }, { uuid: UUID, clean: false }, { uuid: UUID, clean: false }, null, null],
  );
});

test("mkfs.ext4 is told the UUID, the stripes, and to discard nothing (I6, Z1)", () => {
  const base = ["mkfs.ext4", "-q", "-F", "-U", UUID, "-b", "4096", "-m", "0", "-e", "remount-ro", "-E"];
  assert.deepEqual(
    [1, 3].map((stripes) => mkfsArguments({ uuid: UUID, stripes }, "/dev/dm-1")),
    [
      [...base, "nodiscard,assume_storage_prezeroed=1", "/dev/dm-1"],
      [...base, "nodiscard,assume_storage_prezeroed=1,stride=16,stripe_width=48", "/dev/dm-1"],
    ],
  );
});

test("the mark is one block that names the filesystem, before the last 64 KiB that mke2fs clears", () => {
  assert.deepEqual([markAt(512 * MiB), markAt(512 * MiB + 4096)], [512 * MiB - 128 * 1024, 512 * MiB - 128 * 1024]);
  assert.deepEqual([markOf(UUID).length, markOf(UUID).toString("latin1", 0, 57)], [4096, `MeshStor makes ext4 ${UUID}\n`]);
});
