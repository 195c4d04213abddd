/** What people read in `kubectl get msvol`: phase, MD state, counters, one sentence. Pure. */
import type { MeshStorVolume, PartitionState, Phase, VolumeStatus } from "../api/volume.ts";
import { mustGrow } from "./growth.ts";
import type { Sample } from "./time-left.ts";
import type { MirrorView, VolumeView } from "./view.ts";
import { isSyncing } from "./view.ts";

/** The fields of status that are derived from others and from the owner's kernel. */
export type Summary = Pick<
  VolumeStatus,
  "phase" | "mdState" | "syncPercentage" | "syncTimeLeft" | "totalDevices" | "activeDevices" | "failedDevices" | "downDevices" | "ready" | "degraded" | "copies" | "message"
>;

/** Summary as the owner sees it; `waits` are the planner's sentences. */
export function summarise(view: VolumeView, waits: readonly string[]): Summary {
  const { spec } = view.volume;
  const members = view.members.filter((m) => m.record.state !== "Deleting");
  const active = members.filter((m) => m.recorded && m.inArray?.flags.includes("in_sync")).length;
  const failed = members.filter((m) => m.record.state === "Faulty").length;
  const down = members.filter((m) => m.record.state === "Missing" && m.inArray === null).length;
  const wanted = spec.numberOfCopies * spec.drivesPerCopy;
  const copies = copiesInSync(view);
  const progress = syncProgress(view.mirrors);
  const state = mdState(view, active < wanted, progress !== null);
  return {
    phase: phaseOf(view, progress !== null),
    mdState: state,
    syncPercentage: progress === null ? "" : `${progress.toFixed(1)}%`,
    totalDevices: Math.max(wanted, members.length),
    activeDevices: active,
    failedDevices: failed,
    downDevices: down,
    ready: `${copies}/${spec.numberOfCopies}`,
    degraded: Math.max(0, wanted - active),
    copies,
    message: waits[0] ?? sentence(view, active, wanted),
  };
}

/** Summary of a volume that is assembled nowhere, from the record alone. */
export function summariseAtRest(volume: MeshStorVolume): Summary {
  const status = volume.status ?? {};
  const { spec } = volume;
  const members = (status.partitions ?? []).filter((p) => p.state !== "Deleting");
  const wanted = spec.numberOfCopies * spec.drivesPerCopy;
  const recorded = new Set(status.mirrors?.flatMap((m) => m.inSync) ?? members.filter((p) => p.state === "Created").map((p) => p.partitionUUID));
  const active = members.filter((p) => recorded.has(p.partitionUUID)).length;
  const copies = [...new Set(members.map((p) => p.nodeID))].filter((node) => members.filter((p) => p.nodeID === node).every((p) => recorded.has(p.partitionUUID))).length;
  const requested = members.some((p) => p.state === "Requested");
  const phase: Phase = volume.metadata.deletionTimestamp ? "Deleting" : members.length === 0 ? "New" : requested ? "Requested" : "Synced";
  return {
    phase,
    mdState: phase === "Synced" ? "stopped" : "",
    syncPercentage: "",
    totalDevices: Math.max(wanted, members.length),
    activeDevices: active,
    failedDevices: members.filter((p) => p.state === "Faulty").length,
    downDevices: members.filter((p) => p.state === "Missing").length,
    ready: `${copies}/${spec.numberOfCopies}`,
    degraded: Math.max(0, wanted - active),
    copies,
    message: "",
  };
}

function copiesInSync(view: VolumeView): number {
  const nodes = [...new Set(view.members.map((m) => m.record.nodeID))];
  return nodes.filter((node) => view.mirrors.every((mirror) => mirror.members.some((m) => m.record.nodeID === node && m.recorded))).length;
}

function phaseOf(view: VolumeView, syncing: boolean): Phase {
  if (view.volume.metadata.deletionTimestamp) return "Deleting";
  if (view.members.some((m) => m.record.state === "Replacing" || (m.record.state === "Deleting" && m.inArray !== null))) return "Replacing";
  // A copy that was placed in another's stead is being made up to date: the seeds' `Replacing recovering 67.3%`.
  if (view.members.some((m) => m.record.state === "Syncing" && m.record.replaces !== undefined && isPresent(view, m.record.replaces))) return "Replacing";
  if (syncing || view.members.some((m) => m.record.state === "Syncing")) return "Syncing";
  return mustGrow(view.volume) ? "Expanding" : "Synced";
}

function isPresent(view: VolumeView, uuid: string): boolean {
  return view.members.some((m) => m.uuid === uuid && m.record.state !== "Deleting");
}

function mdState(view: VolumeView, fewer: boolean, syncing: boolean): string {
  if (view.mirrors.some((m) => m.array === null)) return "stopped";
  if (syncing) return "recovering";
  return fewer ? "degraded" : "active";
}

/** Percent done over all mirrors that resync, weighted by their size; null at rest. */
function syncProgress(mirrors: MirrorView[]): number | null {
  const running = mirrors.map((m) => m.array).filter(isSyncing);
  if (running.length === 0) return null;
  const done = running.reduce((sum, a) => sum + (a.syncCompleted?.done ?? 0), 0);
  const total = running.reduce((sum, a) => sum + (a.syncCompleted?.total ?? 0), 0);
  return total === 0 ? 0 : (100 * done) / total;
}

function sentence(view: VolumeView, active: number, wanted: number): string {
  if (view.status.placementMessage !== undefined) return view.status.placementMessage;
  if (active >= wanted) return "";
  const nodes = (...states: PartitionState[]) => [...new Set(view.members.filter((m) => states.includes(m.record.state)).map((m) => m.record.nodeID))].join(", ");
  const [missing, syncing, requested, created, given] = [nodes("Missing"), nodes("Syncing"), nodes("Requested"), nodes("Created", "Spare"), nodes("Faulty")];
  if (missing) return `degraded: the copy on node ${missing} is missing; it is brought up to date when the node is back`;
  if (syncing) return `the copy on node ${syncing} is brought up to date`;
  if (requested) return `node ${requested} makes and zeroes a copy that is lacking`;
  if (created) return `node ${view.status.owner?.nodeName} takes in the copy that node ${created} has made`;
  if (given) return `degraded: the copy on node ${given} is given up; the controller places another, or it comes back before that`;
  return `${active} of ${wanted} members are in sync`;
}

/** What resyncs now, for the estimate of the time left. */
export function samplesOf(view: VolumeView): Sample[] {
  const arrays = view.mirrors.map((m) => m.array).filter(isSyncing);
  return arrays.flatMap((a) => (a.syncCompleted ? [{ key: `${a.arrayUUID} ${a.syncAction}`, ...a.syncCompleted }] : []));
}

/** Joins a summary into a status; undefined if nothing that people read has changed. */
export function withSummary(status: VolumeStatus, summary: Summary): VolumeStatus | undefined {
  const { syncTimeLeft, ...rest } = status;
  const changed = syncTimeLeft !== summary.syncTimeLeft || (Object.keys(summary) as (keyof Summary)[]).some((key) => status[key] !== summary[key]);
  return changed ? { ...rest, ...summary } : undefined;
}
