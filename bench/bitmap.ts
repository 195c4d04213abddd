/** The write-intent bitmap of the one mirror on a guest, as mdadm reads it from the disk of a member in sync. */
import type { Guest } from "../lab/guest/guest.ts";
import { eventually } from "../lab/world/wait.ts";
import { MiB } from "./part.ts";

export interface BitmapState {
  readonly dirty: number;
  readonly chunkBytes: number;
}

export async function bitmapState(guest: Guest): Promise<BitmapState> {
  const text = await guest.sh(
    `for d in /sys/block/md*/md/dev-*; do case "$(cat $d/state)" in *write_mostly*) ;; in_sync*) mdadm --examine-bitmap /dev/$(basename $(readlink -f $d/block)) ;; esac; done`,
  );
  const chunk = /Chunksize : (\d+) (KB|MB)/.exec(text);
  const dirty = /(\d+) dirty/.exec(text);
  if (!chunk || !dirty) throw new Error(`mdadm's description of the bitmap is not understood: ${text}`);
  return { dirty: Number(dirty[1]), chunkBytes: Number(chunk[1]) * (chunk[2] === "MB" ? MiB : 1024) };
}

/** A new bitmap is all ones, and MD clears it some seconds after the last write: a loss before that costs a full copy. */
export function untilBitmapClean(guest: Guest): Promise<void> {
  return eventually("the bitmap is clean", 60, async () => {
    const { dirty } = await bitmapState(guest);
    return dirty === 0 || `${dirty} dirty chunks`;
  });
}
