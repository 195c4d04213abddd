/**
 * One pass over what the kernel shows of our storage. Only lock-free sysfs attributes, configfs and
 * mountinfo (Z4); the partition tables, which only a tool can read, come from a cache that is filled
 * again when the kernel's view of a drive's partitions has changed.
 */
import { PARTITION_TYPE } from "../api/names.ts";
import type { Drive, DriveTable, HostSnapshot, LocalPartition, Mount } from "../core/observed.ts";
import { holdersOf, sysBlock } from "./block.ts";
import { readDrives } from "./drives.ts";
import { deviceNumbers, listDir, readAlone, readAttribute, readLink, readText, ROOTS } from "./files.ts";
import { isShutDown } from "./fence/shutdown.ts";
import { driveFingerprint, readDriveTable } from "./gpt/table.ts";
import { isArray } from "./md/sysfs.ts";
import { parseMountinfo } from "./mount/mountinfo.ts";
import { observeMapper, observeMirrors } from "./observe-dm.ts";
import { observeConnections, observeExports } from "./observe-nvme.ts";
import { stranded } from "./stranded.ts";
import { numberText } from "./users/parse.ts";

/** A drive whose table could not be read is not asked again for this long, in ms. */
const RETRY_MS = 30_000;

/** Tables as last read, by drive device; a failed reading keeps the old one. */
interface CachedTable {
  fingerprint: string;
  table: DriveTable | null;
  failedAtMs: number;
}
const tables = new Map<string, CachedTable>();

/** The node's snapshot. Throws CommandTimedOut if the kernel's own trees hang. */
export async function observeHost(): Promise<HostSnapshot> {
  const takenAtMs = performance.now();
  const block = await listDir(`${ROOTS.sys}/block`);
  const [bootID, drives, mapper, exports, connections, mounts] = await Promise.all([
    readAttribute(`${ROOTS.proc}/sys/kernel/random/boot_id`),
    readDrives(),
    observeMapper(block.filter((d) => d.startsWith("dm-"))),
    observeExports(),
    observeConnections(),
    observeMounts(),
  ]);
  const [partitions, mirrors] = await Promise.all([Promise.all(drives.map(observePartitions)), observeMirrors(block.filter(isArray), mapper.windows, mapper.volumeDevices)]);
  const asked = await askVolumes(mounts, new Set(mapper.volumeDevices.map((d) => d.device)));
  return { bootID: bootID ?? "", takenAtMs, drives, partitions: partitions.flat(), exports, connections, ...mapper, mirrors, mounts: asked, stranded: stranded.count };
}

/** Partitions of our type that the table and the kernel agree on. */
async function observePartitions(drive: Drive): Promise<LocalPartition[]> {
  const at = `${ROOTS.sys}/block/${drive.device}`;
  const names = (await listDir(at)).filter((e) => e.startsWith(`${drive.device}p`));
  if (names.length === 0) return [];
  const table = await tableOf(drive);
  if (table === null) return [];
  return (await Promise.all(names.map((name) => observePartition(drive, table, name)))).filter((p) => p !== null);
}

async function observePartition(drive: Drive, table: DriveTable, device: string): Promise<LocalPartition | null> {
  const [number, start, size] = await Promise.all(["partition", "start", "size"].map((a) => readAttribute(`${sysBlock(device)}/${a}`)));
  const entry = table.entries.find((e) => e.number === Number(number));
  if (!entry || entry.type !== PARTITION_TYPE) return null;
  if (entry.startBytes !== Number(start) * 512) return null;
  // While it grows the table and the kernel differ for a moment: it is the same partition, and has what both say.
  const sizeBytes = Math.min(entry.sizeBytes, Number(size) * 512);
  return { uuid: entry.uuid, drive: drive.id, device, number: entry.number, startBytes: entry.startBytes, sizeBytes, holders: await holdersOf(device) };
}

/** The cached table, read anew if the drive's partitions changed; null while it cannot be read. */
async function tableOf(drive: Drive): Promise<DriveTable | null> {
  const fingerprint = `${drive.id} ${await driveFingerprint(drive.device)}`;
  const cached = tables.get(drive.device);
  if (cached && cached.fingerprint === fingerprint && cached.table) return cached.table;
  if (cached && cached.fingerprint === fingerprint && performance.now() - cached.failedAtMs < RETRY_MS) return null;
  const table = await readDriveTable(drive).catch(() => null);
  tables.set(drive.device, { fingerprint, table, failedAtMs: table ? 0 : performance.now() });
  return table;
}

async function observeMounts(): Promise<Mount[]> {
  const entries = parseMountinfo(await readText(`${ROOTS.proc}/self/mountinfo`));
  const numbers = [...new Set(entries.map((e) => e.device))].filter((n) => !n.startsWith("0:"));
  const links = await Promise.all(numbers.map((n) => readLink(`${ROOTS.sys}/dev/block/${n}`)));
  const names = new Map(numbers.map((n, index) => [n, links[index]?.split("/").at(-1) ?? ""]));
  return Promise.all(
    entries.map(async ({ device, outOfUse, ...entry }) => ({
      ...entry,
      device: names.get(device) ?? (isNodeMount(entry) ? await boundDevice(entry.target) : ""),
      shutDown: entry.fsType === "ext4" && outOfUse,
    })),
  );
}

/** A single file, or a folder, of a filesystem of device nodes, bound elsewhere. */
function isNodeMount(entry: { fsType: string; root: string }): boolean {
  return entry.root !== "/" && (entry.fsType === "devtmpfs" || entry.fsType === "tmpfs");
}

/** Kernel name of the block device whose node is bound at a path; empty if it is no such node, or the device is gone. */
async function boundDevice(target: string): Promise<string> {
  const found = await deviceNumbers(target).catch(() => null);
  if (found === null || !found.block) return "";
  return (await readLink(`${ROOTS.sys}/dev/block/${numberText(found.rdev)}`))?.split("/").at(-1) ?? "";
}

/** Asks the filesystems of our volumes, and no other's, whether they are shut down. */
async function askVolumes(mounts: readonly Mount[], devices: ReadonlySet<string>): Promise<Mount[]> {
  return Promise.all(mounts.map(async (m) => (m.fsType === "xfs" && devices.has(m.device) ? { ...m, shutDown: await isShutDown(m.target) } : m)));
}

/** True if every listed controller answers `live`: cheap enough to ask several times a second (I10). */
export async function controllersLive(controllers: readonly string[]): Promise<boolean> {
  const states = await Promise.all(controllers.map((c) => readAlone(`${ROOTS.sys}/class/nvme/${c}/state`)));
  return states.every((state) => state === "live");
}

/** Members that each array lacks (md.c: takes no lock, Z4; raised in the moment in which MD fails a member); 0 where there is no such array. As cheap as {@link controllersLive}. */
export async function degraded(arrays: readonly string[]): Promise<number[]> {
  const counts = await Promise.all(arrays.map((array) => readAttribute(`${sysBlock(array)}/md/degraded`)));
  return counts.map((count) => Number(count ?? 0));
}
