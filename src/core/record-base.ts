/** What every change of the record is given and answers, and how it finds and replaces parts of a status. Pure. */
import type { MirrorRecord, PartitionRecord, VolumeStatus } from "../api/volume.ts";

/** The node, in the boot that acts. */
export interface Identity {
  nodeName: string;
  nodeUID: string;
  bootID: string;
}

/** What a change may use beside the record: nothing here is made inside the core. */
export interface RecordContext {
  me: Identity;
  /** Epoch that the plan was made for; a record of another epoch refuses every owner's change. */
  epoch: number;
  /** What this node promises with a claim (I10, core/bounds.ts); null: nobody here keeps it while the program is down (Z16). */
  promiseMs: number | null;
  /** Address that exports are offered at. */
  address: string;
  port: number;
  /** Wall clock, ISO 8601. */
  now: string;
  /** Fresh random UUIDs, as many as the change may need (one per mirror, at least). */
  ids: readonly string[];
}

export type RecordResult = { ok: true; status: VolumeStatus } | { ok: false; refusal: string };

export const refuse = (refusal: string): RecordResult => ({ ok: false, refusal });
export const accept = (status: VolumeStatus): RecordResult => ({ ok: true, status });

/** True if this node, in this boot, is the recorded owner. */
export function isOwner(status: VolumeStatus, me: Identity): boolean {
  return status.owner !== undefined && status.owner.nodeUID === me.nodeUID && status.owner.bootID === me.bootID;
}

/** R of one mirror; empty while the mirror has no record. */
export function inSyncOf(status: VolumeStatus, mirror: number): readonly string[] {
  return status.mirrors?.[mirror]?.inSync ?? [];
}

export function findPartition(status: VolumeStatus, uuid: string): PartitionRecord | undefined {
  return status.partitions?.find((p) => p.partitionUUID === uuid);
}

export function mapPartition(status: VolumeStatus, uuid: string, change: (p: PartitionRecord) => PartitionRecord): PartitionRecord[] {
  return (status.partitions ?? []).map((p) => (p.partitionUUID === uuid ? change(p) : p));
}

export function mapMirror(status: VolumeStatus, index: number, change: (m: MirrorRecord) => MirrorRecord): MirrorRecord[] {
  return (status.mirrors ?? []).map((m) => (m.index === index ? change(m) : m));
}

/** A member that is on its way into R, or in it, takes this one's place: it is not used any more. */
export function isReplaced(status: VolumeStatus, uuid: string): boolean {
  return (status.partitions ?? []).some((p) => p.replaces === uuid && p.state !== "Deleting" && p.state !== "Faulty");
}

/** States in which a member is there, or on its way. */
const STANDING: ReadonlySet<string> = new Set(["Requested", "Created", "Syncing", "Synced", "Spare", "Missing"]);

/**
 * A member that was given up after its time-out may still come back, until another takes its place, on whatever node, or the
 * node has another member of the same mirror. One that was never made cannot.
 */
export function mayReturn(status: VolumeStatus, p: PartitionRecord): boolean {
  const doubled = (status.partitions ?? []).some((x) => x !== p && x.nodeID === p.nodeID && x.mirror === p.mirror && STANDING.has(x.state));
  return p.state === "Faulty" && p.unmade !== true && !doubled && !isReplaced(status, p.partitionUUID);
}
