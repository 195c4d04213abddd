/** What ran, and how it ended: one JSON object a line, so that a run that was broken off can be resumed. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

/** How a case ended. Only "ok" is a proof. */
export const VERDICTS = ["ok", "violation", "not healthy", "not engaged", "error"] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface Entry {
  readonly name: string;
  readonly at: string;
  readonly verdict: Verdict;
  readonly seconds: number;
  /** What proves that the fault was there. */
  readonly engaged: readonly string[];
  readonly acknowledged?: number;
  readonly reads?: number;
  readonly pauseMs?: number;
  readonly healthyMs?: number;
  /** Why it is not ok, and where the logs are. */
  readonly message?: string;
  readonly logs?: string;
}

/** Reads a ledger; a last line that was cut short is passed over. */
export function readLedger(path: string): Entry[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as Entry];
      } catch {
        return [];
      }
    });
}

/** Adds an entry. */
export function addToLedger(path: string, entry: Entry): void {
  mkdirSync(dirname(path), { recursive: true });
  const cut = existsSync(path) && !/(^|\n)$/.test(readFileSync(path, "utf8"));
  appendFileSync(path, `${cut ? "\n" : ""}${JSON.stringify(entry)}\n`);
}

/** The names that are proven: their newest entry is ok. */
export function provenNames(entries: readonly Entry[]): ReadonlySet<string> {
  const newest = new Map(entries.map((entry) => [entry.name, entry.verdict]));
  return new Set([...newest].flatMap(([name, verdict]) => (verdict === "ok" ? [name] : [])));
}

/** The table for people: one line for each entry, then the counts. */
export function tableOf(entries: readonly Entry[]): string {
  const rows = entries.map((e) => [e.name, String(e.engaged.length), String(e.acknowledged ?? "-"), seconds(e.pauseMs), seconds(e.healthyMs), e.verdict]);
  const all = [["CASE", "ENGAGED", "ACKED", "PAUSE", "HEALTHY AFTER", "VERDICT"], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const lines = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
  const counts = VERDICTS.map((verdict) => `${entries.filter((e) => e.verdict === verdict).length} ${verdict}`);
  const why = entries.flatMap((e) => (e.message === undefined ? [] : [`${e.name}: ${e.message}${e.logs === undefined ? "" : `\n  logs: ${e.logs}`}`]));
  return [...lines, "", ...why, `${entries.length} cases: ${counts.join(", ")}`].join("\n");
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? "-" : `${(ms / 1000).toFixed(1)} s`;
}
