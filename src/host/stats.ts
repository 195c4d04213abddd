/** Usage of a mounted filesystem; asked in a child, because statfs(2) waits where writes are held. */
import { MeshStorError } from "../base/errors.ts";
import { runOk } from "./exec.ts";

export interface FilesystemUsage {
  totalBytes: number;
  usedBytes: number;
  availableBytes: number;
  totalInodes: number;
  usedInodes: number;
  freeInodes: number;
}

/** statfs(2) of a path through stat(1). Throws CommandTimedOut if it does not answer in time. */
export async function filesystemUsage(path: string, deadlineMs = 5_000): Promise<FilesystemUsage> {
  const usage = parseStatfs(await runOk(["stat", "--file-system", "--format=%S %b %f %a %c %d", path], { deadlineMs, lane: path }));
  if (usage === null) throw new MeshStorError("CommandFailed", `stat's answer for ${path} is not understood`);
  return usage;
}

/** `block size, blocks, free, available, inodes, free inodes`; null if it is anything else. */
export function parseStatfs(text: string): FilesystemUsage | null {
  const numbers = text.trim().split(/\s+/).map(Number);
  if (numbers.length !== 6 || numbers.some((n) => !Number.isSafeInteger(n) || n < 0)) return null;
  const [block, blocks, free, available, inodes, freeInodes] = numbers as [number, number, number, number, number, number];
  return { totalBytes: block * blocks, usedBytes: block * (blocks - free), availableBytes: block * available, totalInodes: inodes, usedInodes: inodes - freeInodes, freeInodes };
}
