/** The command line of an emulated guest: QEMU's machine, its disks, drives, networks and shares. */
import { join } from "node:path";
import { macOf, tapsOf } from "../../net/addresses.ts";
import type { Drive } from "../drives.ts";

/** What an emulated guest boots with, whatever it boots from. */
export interface EmulatedMachine {
  readonly name: string;
  readonly index: number;
  readonly memoryMiB: number;
  readonly vcpus: number;
  readonly drives: readonly Drive[];
  readonly consolePath: string;
  /** Unix socket on which QEMU takes orders. */
  readonly qmpPath: string;
  /** Host directories as 9p tags lab-host and lab-share (read-only) and lab-persist. */
  readonly hostDir: string;
  readonly shareDir: string;
  readonly persistDir: string | undefined;
}

/** What it boots from. */
export interface EmulatedSystem {
  readonly kernel: string;
  readonly initramfs: string;
  readonly cmdline: readonly string[];
  /** Disk images as /dev/vda, /dev/vdb, ... */
  readonly disks: readonly { readonly path: string; readonly readOnly: boolean }[];
}

/** QEMU's id of drive `index`. */
export function driveId(index: number): string {
  return `drive${index}`;
}

/** QEMU's name of what lies below drive `index`: the whole file. */
export function fileNodeOf(index: number): string {
  return `${driveId(index)}-file`;
}

/** QEMU's block node for a drive: its part of the file, or of the node of that name. */
export function driveNode(drive: Drive, index: number, file: object | string): object {
  return { driver: "raw", "node-name": driveId(index), offset: drive.offset, size: drive.size, discard: "unmap", file };
}

/** QEMU and its arguments; `qemu` is how its program is called. */
export function commandOf(qemu: readonly string[], machine: EmulatedMachine, system: EmulatedSystem): string[] {
  return [
    ...qemu,
    ...["-name", machine.name, "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"],
    ...["-machine", "pc,usb=off,vmport=off", "-accel", "tcg,thread=multi", "-cpu", "max"],
    ...["-smp", String(machine.vcpus), "-m", `${machine.memoryMiB}M`],
    ...["-kernel", system.kernel, "-initrd", system.initramfs, "-append", system.cmdline.join(" ")],
    ...["-chardev", `file,id=console,path=${escape(machine.consolePath)},append=on`, "-serial", "chardev:console"],
    ...["-qmp", `unix:${escape(machine.qmpPath)},server=on,wait=off`],
    ...system.disks.flatMap(diskOptions),
    ...networkOptions(machine.index),
    ...shareOptions("lab-host", machine.hostDir, true),
    ...shareOptions("lab-share", machine.shareDir, true),
    ...(machine.persistDir === undefined ? [] : shareOptions("lab-persist", machine.persistDir, false)),
    ...machine.drives.flatMap(driveOptions),
  ];
}

/** A comma separates QEMU's options; two of them stand for one. */
function escape(value: string): string {
  return value.replaceAll(",", ",,");
}

function diskOptions(disk: EmulatedSystem["disks"][number], at: number): string[] {
  const node = { driver: "raw", "node-name": `disk${at}`, "read-only": disk.readOnly, file: fileNode(disk.path) };
  return ["-blockdev", JSON.stringify(node), "-device", `virtio-blk-pci,drive=disk${at},romfile=`];
}

/** Power cuts are QEMU's death, not the host's: what QEMU has written is safe in the host's cache. */
function fileNode(filename: string): object {
  return { driver: "file", filename, cache: { direct: false, "no-flush": true }, discard: "unmap" };
}

function networkOptions(index: number): string[] {
  const taps = tapsOf(index);
  return (["storage", "management"] as const).flatMap((network) => [
    ...["-netdev", `tap,id=${network},ifname=${taps[network]},script=no,downscript=no`],
    ...["-device", `virtio-net-pci,netdev=${network},mac=${macOf(index, network)},romfile=`],
  ]);
}

function shareOptions(tag: string, path: string, readOnly: boolean): string[] {
  return [
    ...["-fsdev", `local,id=${tag},path=${escape(path)},security_model=passthrough${readOnly ? ",readonly=on" : ""}`],
    ...["-device", `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ];
}

/**
 * The kernel knows QEMU's old Intel controller as one whose Write Zeroes must not be used (a quirk of its
 * driver), which is how a drive refuses it. QEMU's drives always look like dual-port ones: with native
 * multipath the kernel shows nvme0c0n1 for the path and nvme0n1 for the drive.
 */
function driveOptions(drive: Drive, index: number): string[] {
  const id = driveId(index);
  const file = { ...fileNode(drive.path), "node-name": fileNodeOf(index) };
  const device = {
    driver: "nvme",
    id,
    drive: id,
    serial: drive.serial,
    logical_block_size: drive.sectorSize,
    physical_block_size: drive.sectorSize,
    "use-intel-id": !drive.writeZeroes,
  };
  return ["-blockdev", JSON.stringify(driveNode(drive, index, file)), "-device", JSON.stringify(device)];
}

/** Where a guest's QMP socket is; short enough for a socket's name. */
export function qmpPathOf(socketsDir: string, name: string): string {
  return join(socketsDir, `${name}.qmp`);
}
