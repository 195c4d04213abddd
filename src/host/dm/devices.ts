/** Windows and volume devices: made, found again, removed (dmsetup(8)). */
import type { HostAction } from "../../core/action.ts";
import { volumeDeviceName, volumeDeviceUUID, windowName, windowUUID } from "../../api/names.ts";
import { LABEL_AREA } from "../../base/layout.ts";
import { MeshStorError } from "../../base/errors.ts";
import { dmByName, numberOf, sizeOf, sysBlock } from "../block.ts";
import { failure, run, runOk } from "../exec.ts";
import { nodeNumber, poll, readAttribute, removeLink, ROOTS } from "../files.ts";
import { assertPartition } from "../gpt/identity.ts";
import { assertUnused } from "../nvmet/use.ts";
import { detachLocks, loopLocksOn } from "../users/locks.ts";
import { sameTable, volumeTable, windowTable } from "./table.ts";

type Action<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;

/**
 * Nodes under /dev/mapper are made by dmsetup itself, and no answer of udev is waited for: the
 * program may run in a container without udev. The flags travel with the uevent and keep a host's
 * udev from making the same link (dmsetup(8), --noudevrules, --noudevsync).
 */
const NO_UDEV = ["--noudevrules", "--noudevsync"];
const DEADLINE_MS = 15_000;

/** Opens a member's window on its partition or namespace, after proof that it is this very member and unused (I2). */
export async function openWindow(action: Action<"OpenWindow">): Promise<void> {
  const { partitionUUID, below, sizeBytes } = action;
  await assertMember(below, partitionUUID);
  const room = await sizeOf(below);
  if (room < LABEL_AREA + sizeBytes) throw new MeshStorError("Unsafe", `${below} has ${room} bytes, its window needs ${LABEL_AREA + sizeBytes}`);
  await create(windowName(partitionUUID), windowUUID(partitionUUID, action.epoch), windowTable(await numbered(below), sizeBytes), () => assertUnused(below));
}

/** A partition is known by its table entry, an import by its namespace UUID. */
export async function assertMember(below: string, partitionUUID: string): Promise<void> {
  const namespace = await readAttribute(`${sysBlock(below)}/uuid`);
  if (namespace === null) return assertPartition(below, partitionUUID);
  if (namespace !== partitionUUID) throw new MeshStorError("Unsafe", `namespace ${below} is ${namespace}, not partition ${partitionUUID}`);
}

export function closeWindow(action: Action<"CloseWindow">): Promise<void> {
  return remove(windowName(action.partitionUUID), `MESHSTOR-MEMBER-${action.partitionUUID}-`);
}

export async function createVolumeDevice(action: Action<"CreateVolumeDevice">): Promise<void> {
  const mirrors = await Promise.all(action.mirrors.map(numbered));
  await create(volumeDeviceName(action.volumeName), volumeDeviceUUID(action.volumeUID), volumeTable(mirrors, action.sizeBytes), async () => {});
}

export function removeVolumeDevice(action: Action<"RemoveVolumeDevice">): Promise<void> {
  return remove(action.name, volumeDeviceUUID(""));
}

/** Tables name devices by number, as the kernel prints them back. */
export async function numbered(device: string): Promise<string> {
  const number = await numberOf(device);
  if (number === null) throw new MeshStorError("CommandFailed", `block device ${device} is gone`);
  return number;
}

/**
 * A device of this name and identity with this table is success; one that a cut left without a table
 * is made anew; any other is refused (Unsafe). `prove` runs before a new one is made.
 */
async function create(name: string, uuid: string, table: string, prove: () => Promise<void>): Promise<void> {
  const existing = await dmByName(name);
  if (existing !== null) {
    const found = (await readAttribute(`${sysBlock(existing)}/dm/uuid`)) ?? "";
    if (found !== uuid) throw new MeshStorError("Unsafe", `device ${name} exists as '${found}', wanted '${uuid}'`);
    const live = await runOk(["dmsetup", "table", name], { deadlineMs: DEADLINE_MS });
    if (sameTable(live, table)) return void (await dmNode(name));
    if (live.trim() !== "") throw new MeshStorError("Unsafe", `device ${name} has the table '${live.trim()}', wanted '${table}'`);
    await remove(name, uuid);
  }
  await prove();
  await runOk(["dmsetup", "create", name, `--uuid=${uuid}`, ...NO_UDEV, `--table=${table}`], { deadlineMs: DEADLINE_MS });
  await dmNode(name);
}

/**
 * Path of a device's node, proven to be this device's. A node under /dev/mapper outlives its device
 * where neither dmsetup nor udev removes it, and the number may be another volume's by now: one that
 * is wrong is made anew, and nothing is ever opened by a name that was not compared (I9).
 */
export async function dmNode(name: string): Promise<string> {
  const path = pathOf(name);
  const isRight = async () => {
    const device = await dmByName(name);
    if (device === null) throw new MeshStorError("CommandFailed", `device ${name} is not there`);
    const number = await numberOf(device);
    return number !== null && (await nodeNumber(path)) === number;
  };
  if (await isRight()) return path;
  await removeLink(path);
  await runOk(["dmsetup", "mknodes", name], { deadlineMs: DEADLINE_MS });
  if (!(await poll(5_000, 50, async () => ((await isRight()) ? true : null)))) throw new MeshStorError("CommandFailed", `${path} did not appear`);
  return path;
}

function pathOf(name: string): string {
  return `${ROOTS.dev}/mapper/${name}`;
}

/** Removes a device of ours and proves that it is gone; gone already is success (I8). */
async function remove(name: string, uuidPrefix: string): Promise<void> {
  const device = await dmByName(name);
  if (device === null) return removeLink(pathOf(name));
  const uuid = (await readAttribute(`${sysBlock(device)}/dm/uuid`)) ?? "";
  if (!uuid.startsWith(uuidPrefix)) throw new MeshStorError("ForeignContent", `device ${name} is '${uuid}', not ours`);
  // Left by a kubelet that did not live to take them off.
  const number = await numberOf(device);
  if (number !== null) await detachLocks(await loopLocksOn({ device, name, number })).catch(() => {});
  const result = await run(["dmsetup", "remove", "--retry", ...NO_UDEV, name], { deadlineMs: DEADLINE_MS, lane: name, releases: true });
  if ((await dmByName(name)) === null) return removeLink(pathOf(name));
  throw failure(result) ?? new MeshStorError("CommandFailed", `device ${name} is still there after dmsetup remove`);
}
