/** Which of several suitable drives and nodes is the better one: small named scores between 0 and 1. */
import type { DriveView } from "./filters.ts";
import { leftover } from "./holes.ts";

export interface DriveScore {
  name: string;
  weight: number;
  score(drive: DriveView, partitionBytes: number): number;
}

export const DRIVE_SCORES: readonly DriveScore[] = [
  /** The share of the drive that stays free: fills drives evenly and leaves room to grow. */
  { name: "freeShare", weight: 1, score: freeShareAfter },
  /** Holes that fit tightly first, so that big holes stay big. */
  { name: "tightHole", weight: 0.1, score: tightness },
];

function freeShareAfter({ status, promised }: DriveView, partitionBytes: number): number {
  const taken = promised.reduce((sum, size) => sum + size, partitionBytes);
  return status.sizeBytes <= 0 ? 0 : Math.min(1, Math.max(0, (status.freeBytes - taken) / status.sizeBytes));
}

function tightness({ status }: DriveView, partitionBytes: number): number {
  const left = leftover(
    status.holes.map((hole) => hole.sizeBytes),
    partitionBytes,
  );
  return left === null ? 0 : partitionBytes / (partitionBytes + left);
}

/** Weighted sum of all scores of a drive. */
export function scoreDrive(drive: DriveView, partitionBytes: number): number {
  return DRIVE_SCORES.reduce((sum, { weight, score }) => sum + weight * score(drive, partitionBytes), 0);
}

/** A number that depends on seed and name only (FNV-1a): decides between equals. */
export function tieBreak(seed: string, name: string): number {
  let hash = 0x811c9dc5;
  for (const char of `${seed}/${name}`) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193) >>> 0;
  return hash;
}
