/** A partition of ours made bigger in place, while it is in use: first the table, then the kernel; and what was added zeroed (I7, I9). */
import { PARTITION_TYPE, parseWindowUUID } from "../../api/names.ts";
import { LABEL_AREA } from "../../base/layout.ts";
import { MeshStorError } from "../../base/errors.ts";
import type { HostAction } from "../../core/action.ts";
import { fitsBehind } from "../../core/growth.ts";
import type { Drive } from "../../core/observed.ts";
import { holdersOf, node, sizeOf, sysBlock } from "../block.ts";
import { runOk } from "../exec.ts";
import { readAttribute } from "../files.ts";
import { serially } from "../serial.ts";
import { assertPartition } from "./identity.ts";
import { driveById } from "./partition.ts";
import { readDriveTable } from "./table.ts";
import { proveZeroed, STEP_DEADLINE_MS, stepBytes } from "./zero.ts";

/** Only the entry's end moves; its number, start, type, UUID and name stay. Grown already is success. */
export async function growPartition(action: Extract<HostAction, { kind: "GrowPartition" }>): Promise<void> {
  const drive = await driveById(action.drive);
  await serially(`gpt:${drive.device}`, async () => {
    const { partitionUUID, toBytes } = action;
    const find = async () => {
      const table = await readDriveTable(drive);
      return { table, entry: table.entries.find((e) => e.uuid === partitionUUID) };
    };
    const { table, entry } = await find();
    if (!entry || entry.type !== PARTITION_TYPE) throw new MeshStorError("ForeignContent", `drive ${action.drive}: there is no partition ${partitionUUID} of ours`);
    if (entry.sizeBytes > toBytes) throw new MeshStorError("Unsafe", `partition ${partitionUUID} has ${entry.sizeBytes} bytes: it is not made smaller`);
    if (toBytes % drive.sectorSize !== 0) throw new MeshStorError("Internal", `${toBytes} bytes are not in whole sectors`);
    if (!fitsBehind(table, partitionUUID, toBytes))
      throw new MeshStorError("Unsafe", `drive ${action.drive}: there is no room of ${toBytes} bytes from the beginning of partition ${partitionUUID}`);
    if (entry.sizeBytes < toBytes) await moveEnd(drive, entry.number, toBytes);
    const after = await find();
    const same = after.entry && after.entry.startBytes === entry.startBytes && after.entry.sizeBytes === toBytes && after.entry.type === PARTITION_TYPE;
    if (!same) throw new MeshStorError("Unsafe", `drive ${action.drive}: partition ${partitionUUID} is not as wanted in the table after sfdisk`);
    const device = `${drive.device}p${entry.number}`;
    if ((await sizeOf(device)) !== toBytes) await runOk(["partx", "--update", "--nr", String(entry.number), node(drive.device)], { deadlineMs: 15_000, lane: drive.device });
    const [start, size] = [Number(await readAttribute(`${sysBlock(device)}/start`)) * 512, await sizeOf(device)];
    if (start !== entry.startBytes || size !== toBytes) throw new MeshStorError("Unsafe", `the kernel has ${device} at byte ${start}, ${size} bytes, after partx`);
  });
}

/** `sfdisk -N`: fields that are not named stay as they are (sfdisk(8)). */
async function moveEnd(drive: Drive, number: number, toBytes: number): Promise<void> {
  const argv = ["sfdisk", "-N", String(number), "--force", "--no-reread", "--no-tell-kernel", "--lock=yes", "--wipe=never", "--wipe-partitions=never", node(drive.device)];
  await runOk(argv, { deadlineMs: 30_000, stdin: `size=${toBytes / drive.sectorSize}\n`, lane: drive.device });
}

/**
 * The partition is in use, so it is not opened exclusively: what is zeroed lies behind every window on this node, and the
 * record gives no window of another node more than `fromBytes` (I7: nothing that R names is touched).
 */
export async function zeroExtension(action: Extract<HostAction, { kind: "ZeroExtension" }>, onProgress: (fraction: number) => void): Promise<void> {
  const { device, fromBytes, toBytes } = action;
  await assertPartition(device, action.partitionUUID);
  const size = await sizeOf(device);
  if (size < toBytes || fromBytes >= toBytes || fromBytes <= LABEL_AREA)
    throw new MeshStorError("Unsafe", `${device} has ${size} bytes: byte ${fromBytes} to ${toBytes} is not what it has grown by`);
  const step = await stepBytes(device, toBytes - fromBytes);
  for (let offset = fromBytes; offset < toBytes; offset += step) {
    await assertBehindWindows(device, fromBytes);
    const length = Math.min(step, toBytes - offset);
    await runOk(["blkdiscard", "--zeroout", "--force", `--offset=${offset}`, `--length=${length}`, node(device)], { deadlineMs: STEP_DEADLINE_MS, lane: device });
    onProgress((offset + length - fromBytes) / (toBytes - fromBytes));
  }
  await proveZeroed(device, fromBytes, toBytes - fromBytes, action.partitionUUID);
}

async function assertBehindWindows(device: string, fromBytes: number): Promise<void> {
  for (const holder of await holdersOf(device)) {
    const ours = parseWindowUUID((await readAttribute(`${sysBlock(holder)}/dm/uuid`)) ?? "") !== null;
    const end = LABEL_AREA + (await sizeOf(holder));
    if (!ours || end > fromBytes) throw new MeshStorError("Unsafe", `${holder} uses ${device} up to byte ${end}: nothing is zeroed from byte ${fromBytes} (I7)`);
  }
}
