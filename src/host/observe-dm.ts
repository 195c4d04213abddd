/** Our device-mapper devices and MD arrays, for the snapshot: only attributes that take no lock (Z4). */
import { parseWindowUUID, volumeDeviceUUID } from "../api/names.ts";
import type { Mirror, MirrorMember, VolumeDevice, Window } from "../core/observed.ts";
import { holdersOf, present, slavesOf, sysBlock } from "./block.ts";
import { failsAll } from "./dm/fail.ts";
import { isSuspending } from "./fence/suspend.ts";
import { listDir, readAttribute } from "./files.ts";
import { guardedNQNs, observeGuard } from "./guard/arm.ts";
import { readArray } from "./md/sysfs.ts";

type Guard = Awaited<ReturnType<typeof observeGuard>>;

const VOLUME_PREFIX = volumeDeviceUUID("");

/** Windows and volume devices among the kernel's dm devices (`devices`: kernel names). */
export async function observeMapper(devices: readonly string[]): Promise<{ windows: Window[]; volumeDevices: VolumeDevice[] }> {
  const guard = await observeGuard();
  const found = await Promise.all(devices.map((device) => observeOne(device, guard)));
  return { windows: found.flatMap((f) => f?.window ?? []), volumeDevices: found.flatMap((f) => f?.volume ?? []) };
}

async function observeOne(device: string, guard: Guard): Promise<{ window?: Window; volume?: VolumeDevice } | null> {
  const uuid = await readAttribute(`${sysBlock(device)}/dm/uuid`);
  const member = parseWindowUUID(uuid ?? "");
  if (member === null && !uuid?.startsWith(VOLUME_PREFIX)) return null;
  const [name, suspended, size, slaves] = await Promise.all([
    readAttribute(`${sysBlock(device)}/dm/name`),
    readAttribute(`${sysBlock(device)}/dm/suspended`),
    readAttribute(`${sysBlock(device)}/size`),
    slavesOf(device),
  ]);
  if (name === null) return null;
  const common = { device, name, sizeBytes: Number(size ?? 0) * 512, suspended: suspended === "1" };
  if (member === null) {
    const suspending = suspended !== "1" && (await isSuspending(name));
    const failed = failsAll(slaves, common.sizeBytes);
    return { volume: { ...common, volumeUID: uuid!.slice(VOLUME_PREFIX.length), below: [...slaves].sort(), suspending, failed, guarded: guardedNQNs(guard, uuid!) } };
  }
  const below = slaves[0] !== undefined && (await present(slaves[0])) ? slaves[0] : null;
  return { window: { ...common, ...member, below, ...parseStat((await readAttribute(`${sysBlock(device)}/stat`)) ?? "") } };
}

/** Requests under way, and ever completed (reads, writes, discards and flushes), of a `stat` line (Documentation/block/stat.rst). */
export function parseStat(text: string): { inflight: number; completed: number } {
  const fields = text
    .trim()
    .split(/\s+/)
    .map((word) => Number(word) || 0);
  const at = (index: number) => fields[index] ?? 0;
  return { inflight: at(8), completed: at(0) + at(4) + at(11) + at(15) };
}

/**
 * Arrays that have a window of ours as a member, or that carry a volume device of ours. `windows` is
 * what {@link observeMapper} found in the same pass.
 */
export async function observeMirrors(devices: readonly string[], windows: readonly Window[], volumes: readonly VolumeDevice[]): Promise<Mirror[]> {
  const identity = new Map(windows.map((w) => [w.device, w.partitionUUID]));
  const carried = new Set(volumes.flatMap((v) => v.below));
  return (await Promise.all(devices.map((device) => observeMirror(device, identity, carried.has(device))))).filter((m) => m !== null);
}

async function observeMirror(device: string, identity: ReadonlyMap<string, string>, carries: boolean): Promise<Mirror | null> {
  const slaves = await listDir(`${sysBlock(device)}/slaves`);
  if (!carries && !slaves.some((s) => identity.has(s))) return null;
  const array = await readArray(device);
  if (array === null) return null;
  const at = `${sysBlock(device)}/md`;
  const [degraded, completed, speed, size, holders] = await Promise.all([
    readAttribute(`${at}/degraded`),
    readAttribute(`${at}/sync_completed`),
    readAttribute(`${at}/sync_speed`),
    readAttribute(`${sysBlock(device)}/size`),
    holdersOf(device),
  ]);
  const members: MirrorMember[] = array.members.map((m) => ({ device: m.device, partitionUUID: identity.get(m.device) ?? null, flags: m.flags, slot: m.slot }));
  return {
    device,
    arrayUUID: array.arrayUUID,
    arrayState: array.arrayState,
    raidDisks: array.raidDisks,
    degraded: Number(degraded ?? 0),
    syncAction: array.syncAction,
    syncCompleted: parseSyncCompleted(completed),
    syncSpeedKiB: Number(speed ?? 0) || 0,
    hasBitmap: array.hasBitmap,
    sizeBytes: Number(size ?? 0) * 512,
    members,
    holders,
  };
}

/** `1024 / 2048` in sectors, or `none`, `delayed`, `pending` (md.c, sync_completed_show). */
export function parseSyncCompleted(text: string | null): { done: number; total: number } | null {
  const match = /^(\d+) \/ (\d+)$/.exec(text ?? "");
  return match ? { done: Number(match[1]), total: Number(match[2]) } : null;
}
