/** `kubectl meshstor explain`: why a volume waits or is degraded, what must happen next and who does it. From the object alone. Pure. */
import type { MeshStorVolume, PartitionRecord, PartitionState, VolumeStatus } from "../api/volume.ts";
import type { Verdict } from "./conditions.ts";
import { readiness, redundancy } from "./conditions.ts";
import { recordedIn, sentenceOf, wasUsed } from "./sentence.ts";

/** One member of a copy. */
export interface CopyLine {
  node: string;
  drive: string;
  mirror: number;
  partitionUUID: string;
  state: PartitionState;
  /** Time of the last change of state. */
  since: string;
  /** Recorded in sync: every acknowledged write is on it. */
  inSync: boolean;
  /** How far a resync, zeroing or wiping has come; empty if there is nothing to say. */
  progress: string;
  /** What it waits for and who does it; empty: nothing. */
  waitsFor: string;
}

export interface Explanation {
  volume: string;
  /** The sentence of status.message, conditions and events. */
  sentence: string;
  ready: Verdict;
  redundant: Verdict;
  copies: CopyLine[];
  /** Further sentences: who owns the volume, who is waited for, what a person once decided. */
  also: string[];
}

export function explain(volume: MeshStorVolume): Explanation {
  const status = volume.status ?? {};
  const recorded = recordedIn(status);
  const lines = (status.partitions ?? []).map((p) => lineOf(volume, p, recorded.has(p.partitionUUID)));
  return {
    volume: volume.metadata.name,
    sentence: sentenceOf(volume),
    // What the owner wrote knows its kernel; without it, what the record says.
    ready: written(status, "Ready") ?? readiness(volume),
    redundant: written(status, "Redundant") ?? redundancy(volume),
    copies: lines.toSorted((a, b) => compare(a.node, b.node) || a.mirror - b.mirror || compare(a.partitionUUID, b.partitionUUID)),
    also: alsoOf(status),
  };
}

function written(status: VolumeStatus, type: string): Verdict | null {
  const found = status.conditions?.find((c) => c.type === type);
  return found ? { status: found.status, reason: found.reason } : null;
}

function lineOf(volume: MeshStorVolume, p: PartitionRecord, inSync: boolean): CopyLine {
  const { partitionUUID, nodeID: node, drive, mirror, state, updatedAt: since } = p;
  const progress = p.progress ?? (state === "Syncing" ? volume.status?.syncPercentage : undefined) ?? "";
  return { node, drive, mirror, partitionUUID, state, since, inSync, progress, waitsFor: p.message ?? waitsFor(volume, p) };
}

function waitsFor(volume: MeshStorVolume, p: PartitionRecord): string {
  const status = volume.status ?? {};
  const { leavingNodes = [] } = status as VolumeStatus & { leavingNodes?: string[] };
  const who = status.owner ? `node ${status.owner.nodeName}` : "the node that uses the volume next";
  switch (p.state) {
    case "Requested":
      return `node ${p.nodeID} makes and zeroes it`;
    case "Created":
      return wasUsed(status) ? `${who} takes it in` : "";
    case "Syncing":
      return `${who} brings it up to date`;
    case "Missing":
      return `node ${p.nodeID} comes back, then ${who} copies ${p.outSince === undefined ? "everything" : "what it misses"}`;
    case "Faulty":
      return "the controller finds a place for another";
    case "Replacing":
      return `${who} takes it out`;
    case "Deleting":
      return p.detached || volume.metadata.deletionTimestamp ? `node ${p.nodeID} wipes and frees it` : `${who} takes it out`;
    case "Synced":
    case "Spare":
      return leavingNodes.includes(p.nodeID) ? `another copy is in sync, then ${who} takes it out` : "";
  }
}

function alsoOf({ owner, epoch, former, handOver, overrides, lastStop }: VolumeStatus): string[] {
  const start = { First: "for the first time", Clean: "after a clean stop", Unclean: "after an unclean stop" };
  return [
    ...(owner ? [`node ${owner.nodeName} owns the volume in epoch ${epoch} since ${owner.since}, started ${start[owner.start]}`] : []),
    ...(!owner && lastStop ? [`nobody owns the volume; epoch ${epoch} ended ${lastStop === "Clean" ? "cleanly" : "uncleanly"}`] : []),
    ...(former ?? []).map(
      (f) => `node ${f.nodeName} owned epoch ${f.epoch}; ${f.waited ? "what it left there is taken down when it is back" : "it is waited for until it can serve nothing any more"}`,
    ),
    ...(owner && handOver ? [`node ${handOver.nodeName} asks for the volume since ${handOver.at}`] : []),
    ...(overrides ?? []).map((o) => `${o.by} made mirror ${o.mirror} go on from ${o.consistent ? "a stale copy" : "a half-synced copy"} at ${o.at}`),
  ];
}

/** By code points: the core knows no locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
