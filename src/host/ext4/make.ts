/**
 * Formats a volume with ext4, once (I6). mke2fs writes the superblock last: a cut before that leaves fragments that say
 * nothing of whose they are. So before it begins, a mark with the filesystem's UUID is written near the end of the device,
 * where mke2fs (without discard) writes nothing: with the mark an unfinished filesystem is known as ours and made again.
 */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { KiB, MiB, roundDown } from "../../base/units.ts";
import { sizeOf } from "../block.ts";
import { BLOCK, isZero, readDirect, writeDirect } from "../direct-io.ts";
import { STRIPE_CHUNK } from "../dm/table.ts";
import { runOk } from "../exec.ts";
import { probe } from "../gpt/identity.ts";
import { readExt4 } from "./superblock.ts";

type MakeFilesystem = Extract<HostAction, { kind: "MakeFilesystem" }>;

/** Inodes are made later by the kernel, and nothing is written where zeroes are: the time does not depend on the size. */
const DEADLINE_MS = 300_000;

/** Makes the filesystem with the recorded UUID on `device` (kernel name): blank, or begun by us for this UUID; anything else is refused (ForeignContent). */
export async function makeExt4(device: string, action: MakeFilesystem): Promise<void> {
  const path = `/dev/${device}`;
  const sizeBytes = await sizeOf(device);
  if ((await stateOf(device, sizeBytes, action)) === "blank") await writeDirect(path, markAt(sizeBytes), markOf(action.uuid));
  await runOk(mkfsArguments(action, path), { deadlineMs: DEADLINE_MS, lane: device });
  const made = readExt4(await readDirect(path, 0, MiB));
  if (made?.uuid !== action.uuid || !made.clean) throw new MeshStorError("Unsafe", `${action.device} carries no complete ext4 of UUID ${action.uuid} after mkfs.ext4`);
  await writeDirect(path, markAt(sizeBytes), Buffer.alloc(BLOCK));
}

/**
 * -F: the device is no partition, and one that was begun is made again. nodiscard: the partitions are zeroed; discarded
 * ranges may differ between members (Z1). Errors make it read-only rather than go on.
 */
export function mkfsArguments(action: { uuid: string; stripes: number }, path: string): string[] {
  const stride = STRIPE_CHUNK / BLOCK;
  const stripe = action.stripes > 1 ? `,stride=${stride},stripe_width=${stride * action.stripes}` : "";
  return ["mkfs.ext4", "-q", "-F", "-U", action.uuid, "-b", String(BLOCK), "-m", "0", "-e", "remount-ro", "-E", `nodiscard,assume_storage_prezeroed=1${stripe}`, path];
}

/** mke2fs clears the last 64 KiB of whole 64 KiB (the place of old MD superblocks); the mark is before that, in the free end of the last block group. */
export function markAt(sizeBytes: number): number {
  return roundDown(sizeBytes, 64 * KiB) - 128 * KiB;
}

export function markOf(uuid: string): Buffer {
  const mark = Buffer.alloc(BLOCK);
  mark.write(`MeshStor makes ext4 ${uuid}\n`, "latin1");
  return mark;
}

async function stateOf(device: string, sizeBytes: number, action: MakeFilesystem): Promise<"blank" | "begun"> {
  const path = `/dev/${device}`;
  const foreign = (what: string) => new MeshStorError("ForeignContent", `${action.device} ${what}; it is not formatted (I6)`);
  const head = await readDirect(path, 0, MiB);
  const found = readExt4(head);
  if (found) {
    if (found.uuid !== action.uuid) throw foreign(`carries an ext4 of UUID ${found.uuid}`);
    return "begun";
  }
  if (markOf(action.uuid).equals(await readDirect(path, markAt(sizeBytes), BLOCK))) return "begun";
  const { signature, tableType } = await probe(device);
  if (signature !== "" || tableType !== "") throw foreign(`carries '${signature || tableType}'`);
  const tail = await readDirect(path, roundDown(sizeBytes - MiB, BLOCK), MiB);
  if (isZero(head) && isZero(tail)) return "blank";
  throw foreign("is not blank");
}
