/**
 * Where MD believes that its members may differ (`resync_start`), before a member joins.
 *
 * Setting bits in the bitmap of a running array moves that place back (drivers/md/md-bitmap.c, md_bitmap_dirty_bits). From there on RAID1 reads
 * from the first member that is not faulty, and kernels from 6.9 on do that without looking whether it is still recovering (drivers/md/raid1.c,
 * choose_first_rdev): a returning member in the first slot serves what it missed (seen on 6.12.95, not on 7.2.12; I5, I10). The members of an array
 * that runs no resync are equal, and the bits are there for the returning one only: its recovery takes them, no resync is needed.
 */
import { MeshStorError } from "../../base/errors.ts";
import { sysBlock } from "../block.ts";
import { readAttribute } from "../files.ts";
import { writeMd } from "./sysfs.ts";

/** Says "none" into `resync_start` of an array without a running resync, and lets it go on if an earlier call died half-way. @throws Unsafe if that does not help */
export async function clearResyncStart(device: string, write: typeof writeMd = writeMd): Promise<void> {
  const read = (attribute: string) => readAttribute(`${sysBlock(device)}/md/${attribute}`);
  const [start, action] = await Promise.all([read("resync_start"), read("sync_action")]);
  if (start === "none" && action !== "frozen") return;
  // It can be set while nothing may sync.
  await write(device, "sync_action", "frozen");
  try {
    await write(device, "resync_start", "none");
  } finally {
    await write(device, "sync_action", "idle");
  }
  const now = await read("resync_start");
  if (now !== "none") throw new MeshStorError("Unsafe", `${device} would read from the first member although it recovers: resync_start is ${now}`);
}

/** mdadm freezes an array while it works on it (mdadm, sysfs_freeze_array): ended half-way it leaves it so, and nothing is rebuilt any more. */
export async function letGoOn(device: string): Promise<void> {
  if ((await readAttribute(`${sysBlock(device)}/md/sync_action`)) === "frozen") await clearResyncStart(device);
}
