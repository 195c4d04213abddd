/** Output of sfdisk --json and blkid -p -o export, as data. Pure. */
import type { DriveTable } from "../../core/observed.ts";

interface SfdiskJSON {
  partitiontable?: {
    label?: string;
    firstlba?: number;
    lastlba?: number;
    sectorsize?: number;
    "table-length"?: string | number;
    partitions?: { node: string; start: number; size: number; type?: string; uuid?: string; name?: string }[];
  };
}

/** Sector size and table of `sfdisk --json DEVICE` (sfdisk(8)); null if the text is not understood. */
export function parseSfdisk(text: string, drive: string, sectorSize: number): DriveTable | null {
  let json: SfdiskJSON;
  try {
    json = JSON.parse(text) as SfdiskJSON;
  } catch {
    return null;
  }
  const table = json.partitiontable;
  if (!table) return null;
  const unit = table.sectorsize ?? sectorSize;
  const label = table.label === "gpt" ? "gpt" : table.label === "dos" ? "dos" : "other";
  const entries = (table.partitions ?? []).map((p) => ({
    number: partitionNumber(p.node),
    startBytes: p.start * unit,
    sizeBytes: p.size * unit,
    uuid: (p.uuid ?? "").toLowerCase(),
    type: (p.type ?? "").toUpperCase(),
    name: p.name ?? "",
  }));
  const firstUsableByte = (table.firstlba ?? 0) * unit;
  const lastUsableByte = table.lastlba === undefined ? 0 : (table.lastlba + 1) * unit - 1;
  return { drive, label, firstUsableByte, lastUsableByte, entries, maxEntries: Number(table["table-length"] ?? 128), signature: null, usedBy: null };
}

/** /dev/nvme0n1p12 → 12 */
export function partitionNumber(path: string): number {
  return Number(/p?(\d+)$/.exec(path)?.[1] ?? 0);
}

/** `KEY=value` lines of blkid -o export or udevadm, with blkid's backslash escapes undone. */
export function parseExport(text: string): Record<string, string> {
  const pairs: [string, string][] = [];
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) pairs.push([line.slice(0, at), line.slice(at + 1).replaceAll(/\\(.)/g, "$1")]);
  }
  return Object.fromEntries(pairs);
}
