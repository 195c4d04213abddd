/** Free space of a partition table: holes, and where a new partition goes. Pure; all in bytes. */
import type { DriveTable } from "./observed.ts";

/** Partitions begin and end on this boundary whatever the drive reports as optimal. */
export const ALIGNMENT = 1024 * 1024;

export interface Hole {
  startBytes: number;
  sizeBytes: number;
}

/** Aligned free ranges of a GPT, in disk order; empty for any other label. */
export function holesOf(table: DriveTable): Hole[] {
  if (table.label !== "gpt") return [];
  const used = table.entries.map((e) => ({ start: e.startBytes, end: e.startBytes + e.sizeBytes })).sort((a, b) => a.start - b.start);
  const holes: Hole[] = [];
  let cursor = table.firstUsableByte;
  for (const range of [...used, { start: table.lastUsableByte + 1, end: Number.POSITIVE_INFINITY }]) {
    const start = Math.ceil(cursor / ALIGNMENT) * ALIGNMENT;
    const end = Math.floor(Math.min(range.start, table.lastUsableByte + 1) / ALIGNMENT) * ALIGNMENT;
    if (end > start) holes.push({ startBytes: start, sizeBytes: end - start });
    cursor = Math.max(cursor, range.end);
  }
  return holes;
}

/** Start of a new partition of `sizeBytes`: best fit, so that big holes stay big; null if none holds it. */
export function fit(table: DriveTable, sizeBytes: number): number | null {
  if (table.entries.length >= table.maxEntries) return null;
  const candidates = holesOf(table).filter((h) => h.sizeBytes >= sizeBytes);
  candidates.sort((a, b) => a.sizeBytes - b.sizeBytes || a.startBytes - b.startBytes);
  return candidates[0]?.startBytes ?? null;
}

/** What is said of a blank drive that was given to us and gets its table now. */
export const WAITS_FOR_GPT = "Waits for its GPT";

/**
 * Why a drive is not ours to use, as one sentence, or null if it is (design section 2: every NVMe drive
 * with a GPT and free space unless excluded; one without a table only when given to us by name).
 */
export function unusableReason(table: DriveTable | undefined, readOnly: boolean, use: "Auto" | "Exclude" | "Initialize"): string | null {
  if (use === "Exclude") return "Excluded by spec.use";
  if (!table) return "Partition table not read yet";
  if (readOnly) return "Drive is read-only";
  if (table.usedBy) return `Whole drive is in use: ${table.usedBy}`;
  if (table.label === "gpt") return null;
  if (table.label === "dos") return "Partition table is MBR; only GPT is supported";
  if (table.signature) return `Whole drive carries ${table.signature}`;
  if (table.label === "none") return use === "Initialize" ? WAITS_FOR_GPT : "No partition table; set spec.use to Initialize to give the drive to MeshStor";
  return "Partition table is not GPT";
}
