/** Where labs keep their state on the host, and what they remember so that another process can go on with them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestKind, GuestRoot } from "./guest/context.ts";
import type { Drive } from "./guest/drives.ts";
import { isAlive, type ProcessId } from "./guest/run-state.ts";

/** A guest as it was asked for, with everything decided. */
export interface NodeRecord {
  readonly name: string;
  readonly kind: GuestKind;
  readonly memoryMiB: number;
  readonly vcpus: number;
  readonly root: GuestRoot;
  /** The lab's when absent. */
  readonly kernel?: string;
  readonly cmdline: string;
  readonly persist: boolean;
  readonly drives: readonly Drive[];
}

/** What is remembered about a lab. */
export interface LabRecord {
  readonly id: string;
  readonly createdAt: string;
  /** The process whose end ends the lab; absent for a lab that stays until it is taken down. */
  readonly owner?: ProcessId;
  readonly kernel: string;
  readonly logDir: string;
  readonly nodes: readonly NodeRecord[];
}

/** Directory of all labs: $MESHSTOR_LABS or a directory under the system's temporary one. */
export function labsDir(): string {
  return process.env["MESHSTOR_LABS"] ?? join(tmpdir(), "meshstor-labs");
}

/** The directory of a lab. */
export function labDir(id: string): string {
  return join(labsDir(), id);
}

/** Paths inside a lab's directory. */
export function labPaths(id: string) {
  const dir = labDir(id);
  return {
    dir,
    record: join(dir, "lab.json"),
    relay: join(dir, "relay.sock"),
    cuts: join(dir, "cuts.json"),
    execd: join(dir, "execd.js"),
    share: join(dir, "share"),
    sockets: join(dir, "s"),
    drives: join(dir, "drives"),
    guest: (name: string) => join(dir, "guests", name),
    runState: (name: string) => join(dir, "guests", name, "run.json"),
  };
}

/** Makes a lab's directories. */
export function createLabDirs(record: LabRecord): void {
  const paths = labPaths(record.id);
  mkdirSync(labsDir(), { recursive: true });
  mkdirSync(paths.dir);
  for (const dir of [paths.share, paths.sockets, paths.drives, record.logDir]) mkdirSync(dir, { recursive: true });
  for (const node of record.nodes) mkdirSync(paths.guest(node.name), { recursive: true });
  writeRecord(record);
}

/** Replaces a lab's record. */
export function writeRecord(record: LabRecord): void {
  const { record: path } = labPaths(record.id);
  writeFileSync(`${path}.new`, JSON.stringify(record, null, 2));
  renameSync(`${path}.new`, path);
}

/** Reads a lab's record; undefined when there is no such lab. */
export function readRecord(id: string): LabRecord | undefined {
  const { record } = labPaths(id);
  return existsSync(record) ? (JSON.parse(readFileSync(record, "utf8")) as LabRecord) : undefined;
}

/** The ids of all labs that have a directory. */
export function labIds(): string[] {
  return existsSync(labsDir()) ? readdirSync(labsDir()).sort() : [];
}

/** Whether a lab has an owner that no longer lives. */
export function isOrphan(record: LabRecord): boolean {
  return record.owner !== undefined && !isAlive(record.owner);
}
