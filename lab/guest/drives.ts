/** The drives of guests: what a test asks for, the files behind them, and their faults. */
import { createHash } from "node:crypto";
import { closeSync, existsSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { writeEmptyGpt } from "./gpt-image.ts";
import type { Guest } from "./guest.ts";

/** What a drive is made of; everything has a default. */
export interface DriveSpec {
  /** Bytes, a multiple of 1 MiB; 8 GiB by default. The file is sparse. */
  readonly size?: number;
  /** Serial number, at most 20 characters; made from the guest's name and the drive's number by default. */
  readonly serial?: string;
  /** Logical sector size; 512 by default. */
  readonly sectorSize?: 512 | 4096;
  /** What is on the new drive: an empty GPT (default) or nothing. */
  readonly table?: "gpt" | "none";
  /** A byte that fills the new drive before its table is written, e.g. 0xa5; costs its size in disk space. */
  readonly prefill?: number;
  /** Whether the drive offers Write Zeroes; true by default. */
  readonly writeZeroes?: boolean;
  /** Whether it can be given a cache that its power takes along (volatile-cache.ts; process guests); false by default. */
  readonly volatileCache?: boolean;
}

/** A drive with nothing left open. */
export interface Drive extends Required<Omit<DriveSpec, "prefill">> {
  readonly prefill: number | undefined;
  /** The file on the host. */
  readonly path: string;
  /** Where the drive begins in the file; the bytes before belong to the lab. */
  readonly offset: number;
  /** The namespace's UUID, the same at every boot. */
  readonly uuid: string;
}

const MIB = 1_048_576;

/** Fills in the defaults of a guest's drives; throws for a size or serial that cannot be. */
export function resolveDrives(labId: string, guest: string, specs: readonly DriveSpec[], dir: string): Drive[] {
  return specs.map((spec, index) => {
    const serial = spec.serial ?? `LAB-${guest}-${index}`.toUpperCase();
    const size = spec.size ?? 8192 * MIB;
    if (size % MIB !== 0 || size < 4 * MIB) throw new Error(`drive ${serial}: size ${size} is not a multiple of 1 MiB of at least 4 MiB`);
    if (!/^[\w.-]{1,20}$/.test(serial)) throw new Error(`drive serial "${serial}" is not 1 to 20 letters, digits, dots or dashes`);
    return {
      size,
      serial,
      sectorSize: spec.sectorSize ?? 512,
      table: spec.table ?? "gpt",
      prefill: spec.prefill,
      writeZeroes: spec.writeZeroes ?? true,
      volatileCache: spec.volatileCache ?? false,
      path: join(dir, `${guest}-${index}.drive`),
      offset: MIB,
      uuid: uuidOf(`${labId}/${guest}/${serial}`),
    };
  });
}

/** The file behind the journal of a drive with a volatile cache, on the host. */
export function journalPathOf(drive: Drive): string {
  return `${drive.path}.journal`;
}

/** The drives that have a journal; their journals are devices of the guest behind all drives, in this order. */
export function journalled(drives: readonly Drive[]): Drive[] {
  return drives.filter((drive) => drive.volatileCache);
}

/** Makes a drive's file, and its journal's, unless it exists. */
export function createDriveFile(drive: Drive): void {
  if (existsSync(drive.path)) return;
  if (drive.volatileCache) {
    const journal = openSync(journalPathOf(drive), "wx+", 0o600);
    ftruncateSync(journal, drive.size);
    closeSync(journal);
  }
  const fd = openSync(drive.path, "wx+", 0o600);
  try {
    ftruncateSync(fd, drive.offset + drive.size);
    if (drive.prefill !== undefined) fill(fd, drive, drive.prefill);
    if (drive.table === "gpt") writeEmptyGpt(fd, drive.offset, drive.size, drive.sectorSize);
  } finally {
    closeSync(fd);
  }
}

function fill(fd: number, drive: Drive, value: number): void {
  const block = Buffer.alloc(MIB, value);
  for (let at = 0; at < drive.size; at += MIB) writeSync(fd, block, 0, MIB, drive.offset + at);
}

/** A UUID that depends on a text only. */
export function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The line for a drive in the guest's drives.conf (see lab/guest/boot/drives); `journal` is its journal's device. */
export function driveLine(drive: Drive, backing: string, journal?: string): string {
  return [backing, drive.serial, drive.sectorSize, drive.size / 512, drive.uuid, drive.writeZeroes ? "drive" : "nowz", ...(journal ? [journal] : [])].join(" ");
}

/** The faults a drive can have; all act below the drive, whose controller goes on answering. */
export const driveFaults = {
  /** Requests are taken and not answered until {@link heal}. */
  hang: (guest: Guest, index: number): Promise<void> => guest.driveFaults?.hang(index) ?? dmsetup(guest, ["suspend", "--noflush", "--nolockfs", deviceOf(index)]),
  /** Every request is answered with an error until {@link heal}. */
  fail: (guest: Guest, index: number): Promise<void> => guest.driveFaults?.fail(index) ?? switchTable(guest, index, "s/linear.*/error/"),
  /** Reads answer, writes fail, until {@link heal}. */
  failWrites: (guest: Guest, index: number): Promise<void> =>
    guest.driveFaults?.failWrites(index) ?? switchTable(guest, index, "s/linear \\([^ ]*\\) \\([^ ]*\\)/flakey \\1 \\2 0 1 1 error_writes/"),
  /** Reads from and writes to this part (512-byte sectors) fail, until {@link heal}. */
  failRange: (guest: Guest, index: number, start: number, sectors: number): Promise<void> =>
    guest.driveFaults?.failRange(index, start, sectors) ?? failRange(guest, index, start, sectors),
  /** The drive works again; requests that hung are answered. */
  heal: (guest: Guest, index: number): Promise<void> => guest.driveFaults?.heal(index) ?? heal(guest, index),
  /** The drive vanishes as when it is pulled out, until the guest's next boot. */
  pull: async (guest: Guest, index: number): Promise<void> => {
    if (guest.driveFaults !== undefined) return guest.driveFaults.pull(index);
    await guest.sh(`echo 1 >"$(cat /run/lab/controller-${index})/delete_controller"`);
  },
} as const;

function deviceOf(index: number): string {
  return `lab-drive${index}`;
}

async function dmsetup(guest: Guest, args: readonly string[]): Promise<void> {
  await guest.exec(["dmsetup", ...args]);
}

/** The healthy table is kept at boot in /run/lab/table-N; a fault is that table rewritten. */
async function switchTable(guest: Guest, index: number, sed: string): Promise<void> {
  const name = deviceOf(index);
  await guest.sh(`sed '${sed}' /run/lab/table-${index} | dmsetup load ${name}
dmsetup suspend --noflush --nolockfs ${name}
dmsetup resume --noudevsync ${name}`);
}

async function failRange(guest: Guest, index: number, start: number, sectors: number): Promise<void> {
  const end = start + sectors;
  const name = deviceOf(index);
  await guest.sh(`read -r _ total _ device offset </run/lab/table-${index}
{ [ ${start} = 0 ] || echo "0 ${start} linear $device $offset"
  echo "${start} ${sectors} error"
  [ ${end} -ge "$total" ] || echo "${end} $((total - ${end})) linear $device $((offset + ${end}))"
} | dmsetup load ${name}
dmsetup suspend --noflush --nolockfs ${name}
dmsetup resume --noudevsync ${name}`);
}

async function heal(guest: Guest, index: number): Promise<void> {
  const name = deviceOf(index);
  await guest.sh(`dmsetup load ${name} </run/lab/table-${index}
dmsetup suspend --noflush --nolockfs ${name}
dmsetup resume --noudevsync ${name}`);
}
