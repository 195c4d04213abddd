/** Errors that a mounted ext4 has met (Documentation/ABI/testing/sysfs-fs-ext4): kept in memory, so asking touches no drive. */
import { readAttribute, ROOTS } from "../files.ts";

/** How many since it was last checked by e2fsck(8); 0 for a device without a mounted ext4. */
export async function ext4Errors(device: string): Promise<number> {
  return Number((await readAttribute(`${ROOTS.sys}/fs/ext4/${device}/errors_count`)) ?? 0);
}
