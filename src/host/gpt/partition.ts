/** Makes and deletes single partitions of our type; everything else in a table is left as it is (I9). */
import { PARTITION_TYPE } from "../../api/names.ts";
import type { HostAction } from "../../core/action.ts";
import type { Drive, DriveTable } from "../../core/observed.ts";
import { asMeshStorError, MeshStorError } from "../../base/errors.ts";
import { holdersOf, node, present, sizeOf, sysBlock } from "../block.ts";
import { runOk } from "../exec.ts";
import { exists, poll, readAttribute } from "../files.ts";
import { exportsOf } from "../nvmet/use.ts";
import { readDrives } from "../drives.ts";
import { serially } from "../serial.ts";
import { readDriveTable } from "./table.ts";

type Entry = DriveTable["entries"][number];

/** The drive with this identity; throws CommandFailed if it is not on this node. */
export async function driveById(id: string): Promise<Drive> {
  const drive = (await readDrives()).find((d) => d.id === id);
  if (!drive) throw new MeshStorError("CommandFailed", `drive ${id} is not on this node`);
  return drive;
}

/**
 * Writes the entry with sfdisk, tells the kernel of this one partition with partx, and waits for its
 * node. An entry with this UUID at this place is success; elsewhere, or any overlap, is refused.
 */
export async function createPartition(action: Extract<HostAction, { kind: "CreatePartition" }>): Promise<void> {
  const drive = await driveById(action.drive);
  await serially(`gpt:${drive.device}`, async () => {
    const table = await readDriveTable(drive);
    const existing = table.entries.find((e) => e.uuid === action.partitionUUID);
    const refusal = existing ? sameEntry(existing, action) : mayCreate(table, action, drive.sectorSize);
    if (refusal) throw new MeshStorError("ForeignContent", `drive ${action.drive}: ${refusal}`);
    if (!existing) await append(drive, action);
    const made = existing ?? (await readDriveTable(drive)).entries.find((e) => e.uuid === action.partitionUUID);
    if (!made) throw new MeshStorError("CommandFailed", `drive ${action.drive}: partition ${action.partitionUUID} is not in the table after sfdisk`);
    await tellKernel(drive.device, made);
  });
}

function sameEntry(entry: Entry, action: { startBytes: number; sizeBytes: number }): string | null {
  if (entry.type !== PARTITION_TYPE) return `partition ${entry.uuid} is of type ${entry.type}`;
  if (entry.startBytes === action.startBytes && entry.sizeBytes === action.sizeBytes) return null;
  return `partition ${entry.uuid} lies at byte ${entry.startBytes}, ${entry.sizeBytes} bytes; wanted ${action.startBytes}, ${action.sizeBytes} bytes`;
}

/** Why the entry may not be written; null if it fits into a hole. Exported for its test. */
export function mayCreate(table: DriveTable, wanted: { startBytes: number; sizeBytes: number }, sectorSize: number): string | null {
  if (table.label !== "gpt") return `its partition table is '${table.label}', not gpt`;
  if (table.usedBy) return `the whole drive is in use (${table.usedBy})`;
  const end = wanted.startBytes + wanted.sizeBytes;
  if (wanted.startBytes % sectorSize !== 0 || wanted.sizeBytes % sectorSize !== 0) return `byte ${wanted.startBytes}, ${wanted.sizeBytes} bytes, is not in whole sectors`;
  if (wanted.startBytes < table.firstUsableByte || end - 1 > table.lastUsableByte) return `byte ${wanted.startBytes} to ${end} is outside of the usable space`;
  const hit = table.entries.find((e) => e.startBytes < end && wanted.startBytes < e.startBytes + e.sizeBytes);
  if (hit) return `partition ${hit.number} (${hit.uuid}) lies in byte ${wanted.startBytes} to ${end}`;
  return table.entries.length >= table.maxEntries ? `all ${table.maxEntries} entries are used` : null;
}

async function append(drive: Drive, action: Extract<HostAction, { kind: "CreatePartition" }>): Promise<void> {
  const [start, size] = [action.startBytes / drive.sectorSize, action.sizeBytes / drive.sectorSize];
  const line = `start=${start}, size=${size}, type=${PARTITION_TYPE}, uuid=${action.partitionUUID.toUpperCase()}, name="${action.label}"\n`;
  const argv = ["sfdisk", "--append", "--no-reread", "--no-tell-kernel", "--lock=yes", "--wipe=never", "--wipe-partitions=never", node(drive.device)];
  await runOk(argv, { deadlineMs: 30_000, stdin: line, lane: drive.device });
}

/** Adds the one partition to the kernel's list if it lacks it, and waits for its node. */
async function tellKernel(disk: string, entry: Entry): Promise<void> {
  const device = `${disk}p${entry.number}`;
  if (!(await present(device))) await runOk(["partx", "--add", "--nr", String(entry.number), node(disk)], { deadlineMs: 15_000, lane: disk });
  await assertKernelAgrees(disk, device, entry);
  if (!(await poll(10_000, 50, async () => ((await exists(node(device))) ? true : null)))) throw new MeshStorError("CommandFailed", `${node(device)} did not appear`);
}

async function assertKernelAgrees(disk: string, device: string, entry: Entry): Promise<void> {
  const start = Number(await readAttribute(`${sysBlock(device)}/start`)) * 512;
  const size = await sizeOf(device);
  if (start === entry.startBytes && size === entry.sizeBytes) return;
  throw new MeshStorError("Unsafe", `the kernel has ${device} at byte ${start}, ${size} bytes, the table of ${disk} says ${entry.startBytes}, ${entry.sizeBytes} bytes`);
}

/**
 * Deletes one partition: from the kernel first, which refuses while it is open (EBUSY), then from the
 * table. Refuses (ForeignContent) unless the entry is of our type with this UUID; gone is success.
 */
export async function deletePartition(action: Extract<HostAction, { kind: "DeletePartition" }>): Promise<void> {
  const drive = await driveById(action.drive);
  await serially(`gpt:${drive.device}`, async () => {
    const entry = (await readDriveTable(drive)).entries.find((e) => e.uuid === action.partitionUUID);
    if (!entry) return;
    if (entry.type !== PARTITION_TYPE) throw new MeshStorError("ForeignContent", `drive ${action.drive}: partition ${entry.uuid} is of type ${entry.type}`);
    const device = `${drive.device}p${entry.number}`;
    if (await present(device)) {
      await assertFree(device);
      await assertKernelAgrees(drive.device, device, entry);
      await forgetInKernel(drive.device, entry.number);
    }
    const argv = ["sfdisk", "--delete", "--no-reread", "--no-tell-kernel", "--lock=yes", node(drive.device), String(entry.number)];
    await runOk(argv, { deadlineMs: 30_000, lane: drive.device });
  });
}

async function assertFree(device: string): Promise<void> {
  const users = [...(await holdersOf(device)), ...(await exportsOf(device))];
  if (users.length > 0) throw new MeshStorError("Unsafe", `${device} is in use by ${users.join(", ")} (I9)`);
}

/** udev may have the partition open for a moment after the last writer closed it: tried again for a while. */
async function forgetInKernel(disk: string, number: number): Promise<void> {
  let last: unknown = null;
  const gone = await poll(10_000, 250, async () => {
    try {
      await runOk(["partx", "--delete", "--nr", String(number), node(disk)], { deadlineMs: 15_000, lane: disk });
    } catch (error) {
      last = error;
    }
    return (await present(`${disk}p${number}`)) ? null : true;
  });
  if (!gone) throw new MeshStorError("Unsafe", `partition ${number} of ${disk} is still open: ${asMeshStorError(last).message}`);
}
