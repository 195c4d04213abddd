/** A partition that reads as zeroes: before its first use, and before its space is free again (I7). */
import { createHash } from "node:crypto";
import { MeshStorError } from "../../base/errors.ts";
import { PARTITION_OVERHEAD } from "../../base/layout.ts";
import { GiB, MiB, roundDown } from "../../base/units.ts";
import { diskOf, node, sizeOf, sysBlock } from "../block.ts";
import { isZero, readDirectAt } from "../direct-io.ts";
import { runOk } from "../exec.ts";
import { readAttribute } from "../files.ts";
import { assertUnused } from "../nvmet/use.ts";
import { assertPartition } from "./identity.ts";

/** Step of real zeroing: bounds what one deadline covers. */
const WRITTEN_STEP = 256 * MiB;
/** With Write Zeroes: at most this many steps, so that time does not grow with size. */
const COMMANDED_STEPS = 8;
export const STEP_DEADLINE_MS = 300_000;
const SAMPLES = 16;
const SAMPLE_BYTES = 64 * 1024;

/**
 * Zeroes the whole partition and reads samples back from the drive. Each step needs the partition to
 * itself: blkdiscard(8) opens it exclusively, and configfs is looked at before (I2, Z13).
 * Throws Unsafe if it is in use, or does not read as zeroes.
 */
export async function zeroPartition(device: string, partitionUUID: string, onProgress: (fraction: number) => void): Promise<void> {
  await assertPartition(device, partitionUUID);
  const size = await sizeOf(device);
  for (const [offset, length] of zeroSteps(size, await commanded(device))) {
    await assertUnused(device);
    const argv = ["blkdiscard", "--zeroout", `--offset=${offset}`, `--length=${length}`, node(device)];
    await runOk(argv, { deadlineMs: STEP_DEADLINE_MS, lane: device });
    onProgress((offset + length) / size);
  }
  await proveZeroed(device, 0, size, partitionUUID);
}

/** Reads samples of a range back from the drive. @throws MeshStorError Unsafe if one does not read as zeroes */
export async function proveZeroed(device: string, from: number, bytes: number, partitionUUID: string): Promise<void> {
  const places = sampleOffsets(bytes, partitionUUID).map((offset) => from + offset);
  const samples = await readDirectAt(node(device), places, Math.min(SAMPLE_BYTES, bytes));
  const other = samples.findIndex((sample) => !isZero(sample));
  if (other >= 0) throw new MeshStorError("Unsafe", `${device} does not read as zeroes at byte ${places[other]} after it was zeroed`);
}

/** True if the drive zeroes by command (NVMe Write Zeroes). */
async function commanded(device: string): Promise<boolean> {
  const limit = await readAttribute(`${sysBlock(await diskOf(device))}/queue/write_zeroes_max_bytes`);
  return Number(limit ?? 0) > 0;
}

/** How many bytes of a range are zeroed under one deadline on this device. */
export async function stepBytes(device: string, bytes: number): Promise<number> {
  return stepOf(bytes, await commanded(device));
}

/** A share of the whole where the drive zeroes by command. */
function stepOf(bytes: number, byCommand: boolean): number {
  return byCommand ? Math.max(GiB, Math.ceil(bytes / COMMANDED_STEPS / MiB) * MiB) : WRITTEN_STEP;
}

/** Offsets and lengths to zero: label, superblock and bitmap first, so that a cut leaves nothing that looks like a member. Exported for its test. */
export function zeroSteps(size: number, byCommand: boolean): [number, number][] {
  const head = Math.min(PARTITION_OVERHEAD, size);
  const step = stepOf(size - head, byCommand);
  const steps: [number, number][] = [[0, head]];
  for (let offset = head; offset < size; offset += step) steps.push([offset, Math.min(step, size - offset)]);
  return steps;
}

/** Places to read back: the beginning, the end, and others that follow from the partition's UUID. Exported for its test. */
export function sampleOffsets(size: number, partitionUUID: string): number[] {
  const places = [0, roundDown(Math.max(0, size - SAMPLE_BYTES), 4096)];
  for (let i = 0; i < SAMPLES; i += 1) {
    const hash = createHash("sha256").update(`${partitionUUID} ${i}`).digest().readUIntBE(0, 6);
    places.push(roundDown(Math.floor((hash / 2 ** 48) * Math.max(0, size - SAMPLE_BYTES)), 4096));
  }
  return [...new Set(places)].sort((a, b) => a - b);
}
