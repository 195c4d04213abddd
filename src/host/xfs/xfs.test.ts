import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { mkfsArguments } from "./make.ts";
import { readXfs } from "./superblock.ts";

/** First 16 KiB of a filesystem made by mkfs.xfs 6.13 with -s size=512 and this UUID; gzip, base64. */
const HEAD = gunzipSync(
  Buffer.from(
    "H4sIAAAAAAACA+3av0sDMRTA8Xe22qs/aCepo5ODY+dCe0Kl6CZC/wFdxVmH6igOjk5uLh3soJM/RgdBB90URwfBXVykvlxSPII93Gzx+4FHkjZ310ty4R60WV+JRIoSG7kUX1m120sX+7dxM2P7Sc593XLljit3NQKRjqln7UdVOTse0UMkTJ53Mp/P6FVnpNfJqtjzbz1LutBr6zWDPRuxgsa8qcy93J1+/xb4mrXFuh0/o+PG0kyXjLp6MsZsnLxpvPZZH8m+wV/d11rr/Z7Z/dX8N7z5rybm0TyPrS66/jpfP5i98YYy6z0rQzL/9eW++7w63344NPev1Zzbd/Ma4xoTZhtnZQw3dkAAAP6fWlSOTL7nvQ+Eafn/1ePTpxZTrl3q5YIAAAAAAGBg8/+FH/L/Ylr+v3q0EZL/AwAAAAAwPBq1qKxF4OX/pbT8f7qweS3xf/+rFXfYByMJAAAAAMDg+gLvKRHsAEAAAA==",
    "base64",
  ),
);
const UUID = "33333333-aaaa-4bbb-8ccc-000000000003";

test("a finished filesystem, one that mkfs did not end, and what is left without a superblock", () => {
  const unfinished = Buffer.from(HEAD);
  unfinished[126] = 1;
  const fragments = [1, 2, 3].map((sector) => {
    const only = Buffer.alloc(HEAD.length);
    HEAD.copy(only, sector * 512, sector * 512, sector * 512 + 512);
    return readXfs(only, 512);
  });
  assert.deepEqual(
    [readXfs(HEAD, 512), readXfs(unfinished, 512), readXfs(Buffer.alloc(4096), 512), readXfs(Buffer.alloc(4096, 7), 512), ...fragments],
    [
      { kind: "xfs", uuid: UUID, complete: true },
      { kind: "xfs", uuid: UUID, complete: false },
      { kind: "blank" },
      { kind: "other" },
      ...[1, 2, 3].map(() => ({ kind: "fragment", uuid: UUID })),
    ],
  );
});

test("mkfs.xfs is told the UUID, the sector size and the stripes, the groups of a small striped volume, and -f only for a repetition (I6)", () => {
  const [small, large] = [512 * 1024 ** 2, 1024 ** 3];
  const argumentsOf = (sectorSize: number, stripes: number, sizeBytes: number, again: boolean) => mkfsArguments({ uuid: UUID, sectorSize, stripes, sizeBytes }, again, "/dev/dm-1");
  assert.deepEqual(
    [argumentsOf(4096, 1, small, false), argumentsOf(512, 2, small, false), argumentsOf(512, 3, large, true)],
    [
      ["mkfs.xfs", "-q", "-K", "-m", `crc=1,uuid=${UUID}`, "-s", "size=4096", "/dev/dm-1"],
      ["mkfs.xfs", "-q", "-K", "-m", `crc=1,uuid=${UUID}`, "-s", "size=512", "-d", "su=65536,sw=2,agcount=4", "/dev/dm-1"],
      ["mkfs.xfs", "-q", "-K", "-f", "-m", `crc=1,uuid=${UUID}`, "-s", "size=512", "-d", "su=65536,sw=3", "/dev/dm-1"],
    ],
  );
});
