/** What boot-without-agent boots a host with: MD members in windows of our partitions, and others that Debian's rules can see. */
import { openSync, readSync, closeSync, createReadStream } from "node:fs";
import { createHash } from "node:crypto";
import { pipeline } from "node:stream/promises";
import type { Drive } from "../../lab/guest/drives.ts";
import type { Guest } from "../../lab/guest/guest.ts";
import { PARTITION_TYPE } from "../../src/api/names.ts";

const MIB = 1_048_576;

/** The arrays are the booting host's own: what is foreign Debian's timer of last resort leaves alone. */
const HOST_NAME = "debian-host";

/** Where MD begins in a partition of ours; a visible member begins where its partition does. */
const WINDOW_OFFSET = MIB;

/** Partitions of every drive, both of our type: the first holds a one-copy array, the second one half of a two-copy array. */
const PARTITIONS = [
  { start: 1, size: 48 },
  { start: 49, size: 48 },
] as const;

/** A member that was made. */
export interface Member {
  readonly drive: number;
  readonly partition: number;
  /** Whether it lies in a window, where nobody but us looks. */
  readonly hidden: boolean;
  readonly half: boolean;
  readonly arrayUuid: string;
  /** Bytes from the drive's beginning to MD's. */
  readonly at: number;
}

/** What MD wrote about an array into a member (version 1.2). */
export interface Superblock {
  readonly arrayUuid: string;
  readonly events: bigint;
  /** MD's word for "was not stopped": the array must be looked through from its first sector. */
  readonly wasActive: boolean;
}

/** Puts the partitions on every drive of a guest; `hidden` says on which drives members lie in windows. */
export async function makeMembers(guest: Guest, hidden: readonly boolean[]): Promise<Member[]> {
  const members: Member[] = [];
  for (const [drive, isHidden] of hidden.entries()) {
    const lines = PARTITIONS.map(({ start, size }) => `start=${start}MiB, size=${size}MiB, type=${PARTITION_TYPE}`);
    await guest.sh(`sfdisk -q /dev/nvme${drive}n1\nudevadm settle`, { stdin: `label: gpt\n${lines.join("\n")}\n` });
    for (const [at, partition] of PARTITIONS.entries()) {
      const half = at === 1;
      const device = `/dev/nvme${drive}n1p${at + 1}`;
      const arrayUuid = await makeArray(guest, { name: `t${drive}${at}`, device, hidden: isHidden, half });
      members.push({ drive, partition: at + 1, hidden: isHidden, half, arrayUuid, at: partition.start * MIB + (isHidden ? WINDOW_OFFSET : 0) });
    }
  }
  return members;
}

/** The nodes of members in a guest that may have found its drives in any order. */
export async function devicesOf(guest: Guest, drives: readonly Drive[], members: readonly Member[]): Promise<Map<Member, string>> {
  const lines = await guest.sh(`for drive in /sys/class/nvme/nvme*; do echo "$(cat "$drive/serial") $(ls "$drive" | sed -n 's/^\\(nvme[0-9]*\\)\\(c[0-9]*\\)*n1$/\\1n1/p')"; done`);
  const names = new Map(lines.split("\n").map((line) => line.trim().split(/\s+/) as [string, string]));
  return new Map(members.map((member) => [member, `/dev/${names.get(drives[member.drive]!.serial)}p${member.partition}`]));
}

/** Opens a window on a member, as our agent does; returns the node. */
export async function openWindow(guest: Guest, name: string, device: string): Promise<string> {
  const table = `0 $(($(blockdev --getsz ${device}) - ${WINDOW_OFFSET / 512})) linear ${device} ${WINDOW_OFFSET / 512}`;
  await guest.sh(`dmsetup create ${name} --table "${table}"\nudevadm settle`);
  return `/dev/mapper/${name}`;
}

interface ArrayWish {
  readonly name: string;
  readonly device: string;
  readonly hidden: boolean;
  readonly half: boolean;
}

/** The other half lies in the guest's memory: gone with its power, as a member on another node is. */
async function makeArray(guest: Guest, { name, device, hidden, half }: ArrayWish): Promise<string> {
  const first = hidden ? await openWindow(guest, `window-${name}`, device) : device;
  const second = half ? await guest.sh(`truncate -s 64M /tmp/${name}\nlosetup --find --show /tmp/${name}`) : "missing";
  const options = `--run --level=1 --metadata=1.2 --bitmap=internal --assume-clean --homehost=${HOST_NAME} --raid-devices=2`;
  return guest.sh(`mdadm --quiet --create /dev/md/${name} ${options} ${first} ${second} >&2
udevadm settle
mdadm --detail --export /dev/md/${name} | sed -n 's/^MD_UUID=//p'`);
}

/** Leaves every array active: something was written and nobody had time to say that it is clean. */
export async function keepActive(guest: Guest): Promise<void> {
  await guest.sh(`for array in /dev/md/t*; do
echo 3600 >"/sys/block/$(basename "$(readlink -f "$array")")/md/safe_mode_delay"
dd if=/dev/urandom of="$array" bs=1M count=4 oflag=direct status=none
done`);
}

/** Reads a member's superblock out of a drive's file; throws when there is none. */
export function readSuperblock(drive: Drive, member: Member): Superblock {
  const sector = Buffer.alloc(4096);
  const fd = openSync(drive.path, "r");
  try {
    readSync(fd, sector, 0, sector.length, drive.offset + member.at + 4096);
  } finally {
    closeSync(fd);
  }
  if (sector.readUInt32LE(0) !== 0xa92b4efc) throw new Error(`no MD superblock at byte ${member.at} of drive ${member.drive}`);
  const words = sector.toString("hex", 16, 32).match(/.{8}/g) ?? [];
  return { arrayUuid: words.join(":"), events: sector.readBigUInt64LE(200), wasActive: sector.readBigUInt64LE(208) === 0n };
}

/** SHA-256 of everything on a drive. */
export async function checksum(drive: Drive): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(drive.path, { start: drive.offset }), hash);
  return hash.digest("hex");
}
