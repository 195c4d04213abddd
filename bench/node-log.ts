/** The node program's own log lines, as the lab keeps them on the host: what it did, when, and how long it took. */
import { readFileSync } from "node:fs";
import type { NodeProgram } from "../lab/world/node-program.ts";

export interface LogLine {
  /** Epoch ms on the guest's clock. */
  readonly atMs: number;
  readonly msg: string;
  readonly kind?: string;
  readonly volume?: string;
  readonly call?: string;
  readonly ms?: number;
}

/** Lines of one volume, and those of none, written from `sinceMs` on. */
export function logLines(node: NodeProgram, volume: string, sinceMs = 0): LogLine[] {
  const lines: LogLine[] = [];
  for (const text of readFileSync(node.logPath, "utf8").split("\n")) {
    const line = parse(text);
    if (line && line.atMs >= sinceMs && (line.volume === undefined || line.volume === volume)) lines.push(line);
  }
  return lines;
}

function parse(text: string): LogLine | null {
  if (!text.startsWith("{")) return null;
  try {
    const fields = JSON.parse(text) as LogLine & { time: string };
    return { ...fields, atMs: Date.parse(fields.time) };
  } catch {
    return null;
  }
}
