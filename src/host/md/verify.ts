/** What every array of ours must be, proven from sysfs and the drives after each assembly and add (I1, I3). */
import { MD_DATA_OFFSET } from "../../base/layout.ts";
import { MeshStorError } from "../../base/errors.ts";
import { sysBlock } from "../block.ts";
import { readAttribute } from "../files.ts";
import type { ArrayState } from "./sysfs.ts";
import { readArray } from "./sysfs.ts";
import { readSuperblock } from "./raw.ts";

/** Throws Unsafe unless exactly `windows` are in sync, there is a bitmap, and nothing recovers. */
export function checkArray(device: string, state: ArrayState, arrayUUID: string, windows: readonly string[]): void {
  const doubt = (what: string) => new MeshStorError("Unsafe", `array ${device}: ${what}`);
  if (state.arrayUUID !== arrayUUID) throw doubt(`its UUID is ${state.arrayUUID}, not ${arrayUUID}`);
  const inSync = state.members.filter((m) => m.flags.includes("in_sync") && !m.flags.includes("faulty")).map((m) => m.device);
  if ([...inSync].sort().join() !== [...windows].sort().join() || state.members.length !== windows.length) {
    const found = state.members.map((m) => `${m.device} (${m.flags.join(",")})`).join(", ");
    throw doubt(`its members are ${found || "none"}, wanted exactly ${windows.join(", ")} in sync (I3)`);
  }
  if (!state.hasBitmap) throw doubt("it has no write-intent bitmap (I5)");
}

/** Throws Unsafe if a member's superblock allows what we forbid: a bad-block log, failfast, another data offset (I1). */
export async function checkMember(window: string, arrayUUID: string): Promise<void> {
  const reading = await readSuperblock(window);
  const doubt = (what: string) => new MeshStorError("Unsafe", `member ${window}: ${what}`);
  if (!reading.ok) throw doubt(reading.reason);
  const { superblock } = reading;
  if (superblock.arrayUUID !== arrayUUID) throw doubt(`its superblock belongs to array ${superblock.arrayUUID}`);
  if (superblock.hasBadBlockLog) throw doubt("it has a bad-block log");
  if (superblock.failFast) throw doubt("it is marked failfast");
  if (superblock.dataOffset !== MD_DATA_OFFSET) throw doubt(`its data begin at byte ${superblock.dataOffset}`);
  if (superblock.bitmapOffset === null) throw doubt("it has no write-intent bitmap");
}

/** The array's state; throws Unsafe if it does not run. */
export async function runningArray(device: string): Promise<ArrayState> {
  const state = await readArray(device);
  if (state === null || state.arrayState === "inactive") throw new MeshStorError("Unsafe", `array ${device} does not run`);
  return state;
}

/**
 * Throws Unsafe unless the windows have the sector size of `device` (an array or a first window): a member
 * with larger sectors would raise the array's below a mounted filesystem (Linux 6.12), or stay a spare for
 * ever (7.2, md.c, mddev_stack_new_rdev).
 */
export async function checkSectors(device: string, windows: readonly string[]): Promise<void> {
  const sectorsOf = (name: string) => readAttribute(`${sysBlock(name)}/queue/logical_block_size`);
  const wanted = await sectorsOf(device);
  for (const window of windows) {
    const found = await sectorsOf(window);
    if (found !== wanted) throw new MeshStorError("Unsafe", `member ${window} has sectors of ${found} bytes, ${device} of ${wanted}`);
  }
}
