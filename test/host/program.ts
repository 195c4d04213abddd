/**
 * The small program that host.lab.ts runs in a guest: reads one request from stdin, carries its
 * actions out one after the other, and prints what happened and what the kernel shows afterwards.
 */
import type { HostAction } from "../../src/core/action.ts";
import type { DriveTable, HostSnapshot } from "../../src/core/observed.ts";
import { asMeshStorError } from "../../src/base/errors.ts";
import { applyHostAction } from "../../src/host/apply.ts";
import { checkHost } from "../../src/host/capabilities.ts";
import { observeGuard } from "../../src/host/guard/arm.ts";
import type { GuardEntry } from "../../src/host/guard/protocol.ts";
import { readDriveTable } from "../../src/host/gpt/table.ts";
import type { LabelReading } from "../../src/host/label/codec.ts";
import { readLabel } from "../../src/host/label/stamp.ts";
import { readMetadata } from "../../src/host/md/raw.ts";
import { observeHost } from "../../src/host/observe.ts";
import { filesystemUsage } from "../../src/host/stats.ts";

export interface Request {
  nodeUID: string;
  actions?: HostAction[];
  /** Exits with code 9 after this many ms, wherever it is. */
  dieAfterMs?: number;
  tables?: boolean;
  check?: boolean;
  labels?: string[];
  metadata?: string[];
  usage?: string;
  guard?: boolean;
}

export interface Done {
  kind: string;
  ms: number;
  error: { code: string; message: string } | null;
}

export interface Response {
  done: Done[];
  snapshot: HostSnapshot;
  observeMs: number;
  tables: DriveTable[];
  labels: LabelReading[];
  metadata: { events: string; role: number | null; chunkBytes: number; dirty: number[]; logicalBlockSize: number; hasBadBlockLog: boolean }[];
  usage: unknown;
  check: string | null;
  /** What the guard of the host has; null: none runs, or nobody asked. */
  guard: GuardEntry[] | null;
}

async function read(): Promise<Request> {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  return JSON.parse(text) as Request;
}

async function apply(action: HostAction, nodeUID: string): Promise<Done> {
  const started = performance.now();
  let error: Done["error"] = null;
  await applyHostAction(action, { nodeUID, onProgress: () => {} }).catch((thrown: unknown) => {
    const { code, message } = asMeshStorError(thrown);
    error = { code, message };
  });
  return { kind: action.kind, ms: Math.round(performance.now() - started), error };
}

const request = await read();
if (request.dieAfterMs !== undefined) setTimeout(() => process.kill(process.pid, "SIGKILL"), request.dieAfterMs);
const done: Done[] = [];
for (const action of request.actions ?? []) {
  done.push(await apply(action, request.nodeUID));
  if (done.at(-1)!.error !== null) break;
}
const check = request.check
  ? await checkHost().then(
      () => null,
      (error: unknown) => asMeshStorError(error).message,
    )
  : null;
await observeHost();
const started = performance.now();
const snapshot = await observeHost();
const observeMs = Math.round(performance.now() - started);
const tables = request.tables ? await Promise.all(snapshot.drives.map(readDriveTable)) : [];
const labels = await Promise.all((request.labels ?? []).map(readLabel));
const metadata = await Promise.all((request.metadata ?? []).map(readMetadata));
const response: Response = {
  done,
  snapshot,
  observeMs,
  tables,
  labels,
  metadata: metadata.map((m) => ({
    events: String(m.superblock.events),
    role: m.superblock.role,
    chunkBytes: m.header.chunkBytes,
    dirty: m.dirty,
    logicalBlockSize: m.superblock.logicalBlockSize,
    hasBadBlockLog: m.superblock.hasBadBlockLog,
  })),
  usage: request.usage ? await filesystemUsage(request.usage) : null,
  check,
  guard: request.guard ? await observeGuard().then((g) => (g === null ? null : [...g.values()])) : null,
};
process.stdout.write(JSON.stringify(response));
process.exit(0);
