/** MD as sysfs shows it (reads take no array lock, Z4), and writes through a child with a deadline (they do take it, Z1). */
import { sysBlock } from "../block.ts";
import { runOk } from "../exec.ts";
import { listDir, readAttribute, ROOTS, writeAttribute } from "../files.ts";

export interface MemberState {
  /** Kernel name. */
  device: string;
  flags: string[];
  slot: number | null;
}

export interface ArrayState {
  arrayUUID: string;
  arrayState: string;
  raidDisks: number;
  syncAction: string;
  hasBitmap: boolean;
  members: MemberState[];
}

/**
 * Kernel name of our array: by name, not by number, so that it follows from its UUID, two callers never
 * meet on a free number, and the udev rule knows it (mdadm takes numbers up to 127 only). A disk's name
 * has at most 31 characters.
 */
export function arrayDevice(arrayUUID: string): string {
  return `md_ms${arrayUUID.replaceAll("-", "").slice(0, 24)}`;
}

/** True for the kernel name of an MD array, numbered or named. */
export function isArray(device: string): boolean {
  return /^md(\d+$|_)/.test(device);
}

function md(device: string, attribute: string): string {
  return `${sysBlock(device)}/md/${attribute}`;
}

/** State of an array; null if there is none under this name, or only an empty shell. */
export async function readArray(device: string): Promise<ArrayState | null> {
  const [arrayState, uuid, raidDisks, syncAction, location, entries] = await Promise.all([
    readAttribute(md(device, "array_state")),
    readAttribute(md(device, "uuid")),
    readAttribute(md(device, "raid_disks")),
    readAttribute(md(device, "sync_action")),
    readAttribute(md(device, "bitmap/location")),
    listDir(`${sysBlock(device)}/md`),
  ]);
  if (arrayState === null || arrayState === "clear") return null;
  const names = entries.filter((e) => e.startsWith("dev-")).map((e) => e.slice(4));
  const members = (await Promise.all(names.map((name) => readMember(device, name)))).filter((m) => m !== null);
  const hasBitmap = location !== null && location !== "none";
  return { arrayUUID: uuid ?? "", arrayState, raidDisks: Number(raidDisks), syncAction: syncAction ?? "idle", hasBitmap, members };
}

/** What the kernel writes into the array's superblocks as its logical block size; 0 is nothing, also where it knows no such field (up to 6.18, E24). */
export async function readLogicalBlockSize(device: string): Promise<number> {
  return Number((await readAttribute(md(device, "logical_block_size"))) ?? 0);
}

/** One member; null if it has just left. */
export async function readMember(array: string, device: string): Promise<MemberState | null> {
  const [state, slot] = await Promise.all([readAttribute(md(array, `dev-${device}/state`)), readAttribute(md(array, `dev-${device}/slot`))]);
  if (state === null) return null;
  return { device, flags: parseFlags(state), slot: slot === null || slot === "none" || slot === "" ? null : Number(slot) };
}

/** `in_sync,write_mostly` as a list (md.c, state_show). */
export function parseFlags(text: string): string[] {
  return text
    .split(",")
    .map((flag) => flag.trim())
    .filter((flag) => flag !== "");
}

/** Kernel name of the running array with this UUID, else null. */
export async function arrayByUUID(uuid: string): Promise<string | null> {
  const devices = (await listDir(`${ROOTS.sys}/block`)).filter(isArray);
  for (const device of devices) if ((await readAttribute(md(device, "uuid"))) === uuid && (await readAttribute(md(device, "array_state"))) !== "clear") return device;
  return null;
}

/** Writes an attribute that may wait for the array's lock: in a child, one write call, bounded (Z1, Z18). */
export async function writeMd(array: string, attribute: string, value: string, deadlineMs = 10_000): Promise<void> {
  const argv = ["dd", `of=${md(array, attribute)}`, "status=none", "bs=4096", "count=1", "iflag=fullblock", "conv=notrunc,nocreat"];
  await runOk(argv, { deadlineMs, stdin: value, lane: array });
}

/** A rebuild is sure of this much beside the application, KiB/s. */
const SYNC_MIN_KIB = 1000;
/** Far above what any drive or link gives: without other I/O a rebuild is not held back. MD's own limit is 200 MB/s. */
const SYNC_MAX_KIB = 100_000_000;

/**
 * A rebuild yields to the application and is not capped otherwise. Linux drivers/md/md.c, md_do_sync: above sync_speed_min it
 * waits for its own requests whenever the members have other I/O (is_mddev_idle), above sync_speed_max it always waits. The
 * array has its own values, whatever dev.raid.speed_limit_* say. Best effort: nothing but speed depends on it.
 */
export async function setSyncSpeed(array: string): Promise<void> {
  const write = (name: string, value: number) => writeAttribute(md(array, name), String(value)).catch(() => {});
  await Promise.all([write("sync_speed_min", SYNC_MIN_KIB), write("sync_speed_max", SYNC_MAX_KIB)]);
}
