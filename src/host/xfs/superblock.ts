/** The first sectors of an XFS filesystem, as far as formatting needs them. Pure. Layout: xfsprogs libxfs/xfs_format.h, struct xfs_dsb (big endian). */
import { uuidOf } from "../md/superblock.ts";

export type XfsReading = { kind: "blank" } | { kind: "other" } | { kind: "xfs"; uuid: string; complete: boolean } | { kind: "fragment"; uuid: string };

/** Structures of allocation group 0 that carry the filesystem's UUID: sector, magic, offset of the UUID. */
const HEADERS: readonly [number, string, number][] = [
  [1, "XAGF", 64],
  [2, "XAGI", 296],
  [3, "XAFL", 8],
];

/**
 * What the beginning of a device says. mkfs.xfs sets sb_inprogress until its very end; a cut before the
 * superblock reached the drive can leave headers of the group alone, which carry the UUID as well.
 */
export function readXfs(head: Buffer, sectorSize: number): XfsReading {
  if (head.every((byte) => byte === 0)) return { kind: "blank" };
  if (head.toString("latin1", 0, 4) === "XFSB") return { kind: "xfs", uuid: uuidOf(head, 32), complete: head[126] === 0 };
  for (const [sector, magic, at] of HEADERS) {
    const start = sector * sectorSize;
    if (head.toString("latin1", start, start + 4) === magic) return { kind: "fragment", uuid: uuidOf(head, start + at) };
  }
  return { kind: "other" };
}
