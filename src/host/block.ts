/** Facts about one block device from sysfs, by kernel name (nvme0n1p3, dm-4, md127). */
import { parseWindowUUID } from "../api/names.ts";
import { MeshStorError } from "../base/errors.ts";
import { exists, listDir, readAttribute, readLink, ROOTS } from "./files.ts";

/** sysfs directory of a disk or partition. */
export function sysBlock(device: string): string {
  return `${ROOTS.sys}/class/block/${device}`;
}

/** Node of a device, by kernel name; devtmpfs makes these without udev. */
export function node(device: string): string {
  return device.startsWith("/") ? device : `/dev/${device}`;
}

/** True while the kernel has the device. */
export function present(device: string): Promise<boolean> {
  return exists(sysBlock(device));
}

/** Size in bytes; throws CommandFailed if the device is gone. */
export async function sizeOf(device: string): Promise<number> {
  const sectors = await readAttribute(`${sysBlock(device)}/size`);
  if (sectors === null) throw new MeshStorError("CommandFailed", `block device ${device} is gone`);
  return Number(sectors) * 512;
}

/** Kernel names of the devices stacked on this one. */
export function holdersOf(device: string): Promise<string[]> {
  return listDir(`${sysBlock(device)}/holders`);
}

/** Kernel names of the devices below this one. */
export function slavesOf(device: string): Promise<string[]> {
  return listDir(`${sysBlock(device)}/slaves`);
}

/** Kernel name of the disk that a partition is on; the device itself if it is a disk. */
export async function diskOf(device: string): Promise<string> {
  if ((await readAttribute(`${sysBlock(device)}/partition`)) === null) return device;
  const link = await readLink(sysBlock(device));
  return link?.split("/").at(-2) ?? device;
}

/** `major:minor` of a device; null if it is gone. */
export function numberOf(device: string): Promise<string | null> {
  return readAttribute(`${sysBlock(device)}/dev`);
}

/** Kernel name of the device-mapper device with this dm name, else null. */
export async function dmByName(name: string): Promise<string | null> {
  const devices = (await listDir(`${ROOTS.sys}/block`)).filter((d) => d.startsWith("dm-"));
  const names = await Promise.all(devices.map((d) => readAttribute(`${ROOTS.sys}/block/${d}/dm/name`)));
  const index = names.indexOf(name);
  return index < 0 ? null : devices[index]!;
}

/** Throws Unsafe unless `device` is the window of this very member (I2: members by identity, never by name alone). */
export async function assertWindow(device: string, partitionUUID: string): Promise<void> {
  const uuid = (await readAttribute(`${sysBlock(device)}/dm/uuid`)) ?? "";
  if (parseWindowUUID(uuid)?.partitionUUID !== partitionUUID)
    throw new MeshStorError("Unsafe", `${device} is not the window of partition ${partitionUUID} (its identity is '${uuid}')`);
}

/** Kernel name of a member's window; throws Unsafe if there is none. */
export async function windowOf(partitionUUID: string): Promise<string> {
  const devices = (await listDir(`${ROOTS.sys}/block`)).filter((d) => d.startsWith("dm-"));
  for (const device of devices) {
    const uuid = (await readAttribute(`${ROOTS.sys}/block/${device}/dm/uuid`)) ?? "";
    if (parseWindowUUID(uuid)?.partitionUUID === partitionUUID) return device;
  }
  throw new MeshStorError("Unsafe", `partition ${partitionUUID} has no window on this node`);
}
