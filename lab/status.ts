/** What a lab looks like now, for people and programs. */
import type { Lab } from "./cluster.ts";
import { readRecord } from "./state.ts";

/** One row per guest; all values are texts. */
export type GuestRow = Readonly<Record<string, string>>;

/** A lab's state. */
export interface LabStatus {
  readonly id: string;
  readonly kernel: string;
  readonly guests: readonly GuestRow[];
  readonly cuts: readonly string[];
  readonly logs: string;
}

/** Looks at a lab; `more` are further columns, by guest. */
export function statusOf(lab: Lab, more: ReadonlyMap<string, GuestRow>): LabStatus {
  const record = readRecord(lab.id);
  const guests = lab.guests.map((guest) => {
    const { ipv4, ipv6 } = lab.net.addresses(guest.name);
    const drives = record?.nodes.find((node) => node.name === guest.name)?.drives ?? [];
    const own = { name: guest.name, state: guest.state, kind: guest.kind, boots: String(guest.bootCount), ipv4, ipv6 };
    return { ...own, drives: drives.map(({ size, sectorSize }) => `${gib(size)}/${sectorSize}`).join(" "), ...more.get(guest.name) };
  });
  return { id: lab.id, kernel: lab.kernel, guests, cuts: lab.net.cuts().map(({ from, to }) => `${from} -> ${to}`), logs: lab.logDir };
}

function gib(size: number): string {
  return size >= 1 << 30 ? `${Math.round((size / (1 << 30)) * 10) / 10}G` : `${Math.round(size / (1 << 20))}M`;
}

/** The status as a table. */
export function formatStatus(status: LabStatus): string {
  const cuts = status.cuts.length === 0 ? "none" : status.cuts.join(", ");
  return [`lab ${status.id}, kernel ${status.kernel}, logs in ${status.logs}`, `cuts: ${cuts}`, "", table(status.guests)].join("\n");
}

/** Rows as columns under upper-case headings. */
export function table(rows: readonly GuestRow[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [names.map((name) => name.toUpperCase()), ...rows.map((row) => names.map((name) => row[name] ?? ""))];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("   ")
        .trimEnd(),
    )
    .join("\n");
}
