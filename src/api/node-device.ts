/**
 * MeshStorNodeDevice (msnd): one NVMe drive of one node. Named after node and serial number, not
 * after the kernel's nvmeXnY, because `spec.use` must stay with the drive when names move.
 */
import * as z from "zod";
import { formatBytes } from "../base/units.ts";
import type { ObjectMeta } from "./volume.ts";

export const DRIVE_USES = ["Auto", "Exclude", "Initialize"] as const;

export const deviceSpecSchema = z.object({
  use: z
    .enum(DRIVE_USES)
    .default("Auto")
    .describe("Auto: used if the drive has a GPT. Exclude: never. Initialize: a drive without any partition table or signature is given a GPT, then used."),
});

export const holeSchema = z.object({ startBytes: z.int(), sizeBytes: z.int() });

export const deviceStatusSchema = z.object({
  nodeName: z.string(),
  drive: z.string().describe("Serial number and namespace id, joined by ':'; what msvol partitions refer to."),
  device: z.string().describe("Kernel name at the moment, for example nvme0n1."),
  model: z.string(),
  serial: z.string(),
  sizeBytes: z.int(),
  freeBytes: z.int().describe("Sum of the usable holes."),
  biggestHoleBytes: z.int().describe("Largest usable contiguous hole."),
  size: z.string().optional().describe("sizeBytes for people, for example 894.3GiB."),
  free: z.string().optional().describe("freeBytes for people."),
  biggestHole: z.string().optional().describe("biggestHoleBytes for people."),
  sectorSize: z.int().describe("Logical sector size in bytes."),
  holes: z.array(holeSchema).describe("Usable free ranges, at most 32, largest first; empty if the drive is not used."),
  freePartitionEntries: z.int().describe("Unused entries of the partition table."),
  localPartitions: z.int().describe("Our partitions used by a volume assembled on this node, or by none."),
  remotePartitions: z.int().describe("Our partitions exported to another node."),
  unknownPartitions: z.int().describe("Partitions that are not ours."),
  writeZeroes: z.boolean().describe("The drive zeroes by command, so that provisioning does not depend on size."),
  health: z.string().describe("Usable, or the reason why the drive is not used."),
});

export type DriveUse = (typeof DRIVE_USES)[number];
export interface DeviceHole {
  startBytes: number;
  sizeBytes: number;
}
export interface DeviceStatus {
  nodeName: string;
  drive: string;
  device: string;
  model: string;
  serial: string;
  sizeBytes: number;
  freeBytes: number;
  biggestHoleBytes: number;
  /** The three sizes for people; kubectl's columns cannot format (deviceSizeTexts). */
  size?: string;
  free?: string;
  biggestHole?: string;
  sectorSize: number;
  holes: DeviceHole[];
  freePartitionEntries: number;
  localPartitions: number;
  remotePartitions: number;
  unknownPartitions: number;
  writeZeroes: boolean;
  health: string;
}
export interface MeshStorNodeDevice {
  apiVersion: string;
  kind: "MeshStorNodeDevice";
  metadata: ObjectMeta;
  spec: { use: DriveUse };
  status?: DeviceStatus;
}

/** The sizes as kubectl's columns show them, without a space, so that they are one word for awk; `894.3GiB`. */
export function deviceSizeTexts(status: Pick<DeviceStatus, "sizeBytes" | "freeBytes" | "biggestHoleBytes">): { size: string; free: string; biggestHole: string } {
  const say = (bytes: number): string => formatBytes(bytes).replace(" ", "");
  return { size: say(status.sizeBytes), free: say(status.freeBytes), biggestHole: say(status.biggestHoleBytes) };
}
