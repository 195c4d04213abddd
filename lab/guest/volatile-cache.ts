/**
 * A drive whose cache is lost with its power: what was written and not flushed is gone. Process guests only, and only drives
 * that were made for it (`volatileCache`).
 *
 * The kernel's log-writes target notes what the drive has made durable: a write when a flush that began after it has ended, or at once if it was
 * FUA (a FUA write that overtakes an unflushed one to the same place would come out in the wrong order; nothing here does that). At the power cut the host makes the drive's file anew: as it was when the cache was switched on, and all that was noted. Before the plug
 * is pulled the drive stops answering, so nothing is answered whose note is still on its way.
 */
import { execFileSync } from "node:child_process";
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, renameSync, truncateSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../tools/setup/run.ts";
import { journalPathOf, type Drive } from "./drives.ts";
import type { Guest } from "./guest.ts";
import { readJournal, type JournalEntry } from "./write-journal.ts";

const LAST = "the-end";
const DRAIN_MS = 60_000;

export class VolatileCache {
  readonly #guest: Guest;
  readonly #index: number;
  readonly #drive: Drive;

  private constructor(guest: Guest, index: number, drive: Drive) {
    this.#guest = guest;
    this.#index = index;
    this.#drive = drive;
  }

  /** Switches the cache of drive `index` on, while it is in use; all that it holds then is durable. */
  static async on(guest: Guest, index: number, drive: Drive): Promise<VolatileCache> {
    if (!drive.volatileCache) throw new Error(`drive ${drive.serial} was not made for a volatile cache`);
    const [name, media] = [`lab-drive${index}`, `lab-media${index}`];
    await guest.sh(`read -r _ total _ device offset </run/lab/table-${index}
dmsetup create ${media} --noudevsync --noudevrules --table "0 $total linear $device $offset"
dmsetup suspend --nolockfs ${name}`);
    await run(["cp", "--sparse=always", drive.path, baseOf(drive)]);
    truncateSync(journalPathOf(drive), 0);
    truncateSync(journalPathOf(drive), drive.size);
    await guest.sh(`read -r _ total _ </run/lab/table-${index}
read -r journal </run/lab/journal-${index}
media=$(dmsetup info -c --noheadings --separator : -o major,minor ${media})
echo "0 $total log-writes $media $journal" | dmsetup load ${name}
dmsetup resume --noudevsync ${name}`);
    return new VolatileCache(guest, index, drive);
  }

  /** Cuts the guest's power by `cut`, and the drive forgets what was not flushed. Returns how many bytes that are. */
  async powerOff(cut: () => Promise<void>): Promise<number> {
    const name = `lab-drive${this.#index}`;
    await this.#guest.sh(`dmsetup suspend --noflush --nolockfs ${name}; dmsetup message ${name} 0 mark ${LAST}`);
    const entries = await this.#drained();
    await cut();
    replay(journalPathOf(this.#drive), entries, baseOf(this.#drive), this.#drive.offset);
    const lost = differingBytes(this.#drive.path, baseOf(this.#drive));
    renameSync(baseOf(this.#drive), this.#drive.path);
    return lost;
  }

  /** All notes, once the last one has reached the host. */
  async #drained(): Promise<JournalEntry[]> {
    for (let waited = 0; waited < DRAIN_MS; waited += 50) {
      const entries = readJournalFile(journalPathOf(this.#drive));
      if (entries.at(-1)?.mark === LAST) return entries;
      await sleep(50);
    }
    throw new Error(`${this.#guest.name}: the journal of drive ${this.#index} does not come to its end`);
  }
}

function baseOf(drive: Drive): string {
  return `${drive.path}.durable`;
}

function readJournalFile(path: string): JournalEntry[] {
  const fd = openSync(path, "r");
  try {
    return readJournal((at, length) => {
      const bytes = Buffer.alloc(length);
      readSync(fd, bytes, 0, length, at);
      return bytes;
    });
  } finally {
    closeSync(fd);
  }
}

const CHUNK = 1_048_576;

function replay(journalPath: string, entries: readonly JournalEntry[], path: string, offset: number): void {
  const [from, to] = [openSync(journalPath, "r"), openSync(path, "r+")];
  const size = fstatSync(to).size;
  for (const { at, length, data } of entries) {
    for (let done = 0; done < length; done += CHUNK) {
      const bytes = Buffer.alloc(Math.min(CHUNK, length - done));
      if (data !== null) readSync(from, bytes, 0, bytes.length, data + done);
      writeSync(to, bytes, 0, bytes.length, offset + at + done);
    }
  }
  ftruncateSync(to, size);
  closeSync(from);
  closeSync(to);
}

/** Only bytes that one of the files has allocated can differ; cmp skips over nothing, so this reads both once. */
function differingBytes(a: string, b: string): number {
  const script = `cmp -l "$1" "$2" | wc -l`;
  return Number(execFileSync("sh", ["-euc", script, "sh", a, b], { encoding: "utf8" }));
}
