/** The one sentence that says why a volume waits or is degraded, what must happen next and who does it; from the record alone. Pure. */
import type { MeshStorVolume, PartitionRecord, VolumeStatus } from "../api/volume.ts";

/**
 * The sentence of status.message, conditions, events and `kubectl meshstor explain`; never empty. What the owner or the
 * controller wrote goes first: they see more than the record says.
 */
export function sentenceOf(volume: MeshStorVolume): string {
  return volume.status?.message || sentenceAtRest(volume) || healthy(volume);
}

/** What the record alone says, for a volume of which nobody says more; empty if nothing is waited for. */
export function sentenceAtRest(volume: MeshStorVolume): string {
  const status = volume.status ?? {};
  const members = wantedMembers(status);
  // Why a copy that is wanted has no place stands where the controller wrote it.
  const { placementMessage } = status as VolumeStatus & { placementMessage?: string };
  const told = placementMessage ?? members.find((p) => (p.state === "Faulty" || p.state === "Missing") && p.message)?.message;
  const placing = members.length === 0 ? `the controller places volume ${volume.metadata.name}` : null;
  return deleting(volume) ?? placing ?? told ?? making(volume, members) ?? moving(status) ?? degraded(volume, members) ?? leaving(volume, members) ?? "";
}

/** Members that are not given up. */
export function wantedMembers(status: VolumeStatus): PartitionRecord[] {
  return (status.partitions ?? []).filter((p) => p.state !== "Deleting");
}

/** Nodes of these members, each once, in the record's order. */
export function nodesOf(members: readonly PartitionRecord[]): string {
  return [...new Set(members.map((p) => p.nodeID))].join(", ");
}

/** True once a node has claimed the volume: from then on R says who is in sync. */
export function wasUsed(status: VolumeStatus): boolean {
  return status.mirrors !== undefined;
}

/** Partition UUIDs that are recorded in sync, of all mirrors; of a volume that was never used, those that are made. */
export function recordedIn(status: VolumeStatus): Set<string> {
  const made = () => wantedMembers(status).flatMap((p) => (p.state === "Created" ? [p.partitionUUID] : []));
  return new Set(status.mirrors?.flatMap((m) => m.inSync) ?? made());
}

function healthy(volume: MeshStorVolume): string {
  const { numberOfCopies } = volume.spec;
  return numberOfCopies === 1 ? "the one copy is in sync; nothing is waited for" : `all ${numberOfCopies} copies are in sync; nothing is waited for`;
}

function deleting(volume: MeshStorVolume): string | null {
  if (!volume.metadata.deletionTimestamp) return null;
  const { owner, partitions = [] } = volume.status ?? {};
  if (owner) return `being deleted: waiting for node ${owner.nodeName} to end its use of the volume`;
  return partitions.length === 0 ? "being deleted: the controller lets the object go" : `being deleted: waiting for node ${nodesOf(partitions)} to wipe and free its partitions`;
}

/** Before the first use. */
function making(volume: MeshStorVolume, members: PartitionRecord[]): string | null {
  if (wasUsed(volume.status ?? {})) return null;
  const open = members.filter((p) => p.state === "Requested");
  if (open.length > 0) return `node ${nodesOf(open)} makes and zeroes its partition of volume ${volume.metadata.name}`;
  const failed = members.filter((p) => p.state === "Faulty");
  return failed.length > 0 ? `the partition on node ${nodesOf(failed)} could not be made; the controller finds another place` : null;
}

function moving({ owner, handOver, mdState }: VolumeStatus): string | null {
  if (owner && handOver) return `node ${handOver.nodeName} asks for the volume; node ${owner.nodeName} gives it up when nobody uses it there`;
  return owner && mdState === "stopped" ? `node ${owner.nodeName} assembles the volume` : null;
}

function degraded(volume: MeshStorVolume, members: PartitionRecord[]): string | null {
  const status = volume.status ?? {};
  const { numberOfCopies, drivesPerCopy } = volume.spec;
  const recorded = recordedIn(status);
  const active = members.filter((p) => recorded.has(p.partitionUUID)).length;
  if (active >= numberOfCopies * drivesPerCopy) return null;
  const who = status.owner ? `node ${status.owner.nodeName}` : "the node that uses the volume next";
  const of = (state: PartitionRecord["state"]) => members.filter((p) => p.state === state && !recorded.has(p.partitionUUID));
  const [missing, faulty, made] = [of("Missing"), of("Faulty"), of("Requested")];
  if (missing.length > 0) return `degraded: the copy on node ${nodesOf(missing)} is missing; ${who} brings it up to date when it is back`;
  // Copies are placed for a volume in use only: somebody must rebuild them.
  const place = status.owner ? "the controller finds a place for another" : "when a node uses the volume, the controller finds a place for another";
  if (faulty.length > 0) return `degraded: the copy on node ${nodesOf(faulty)} is given up; ${place}`;
  if (made.length > 0) return `degraded: node ${nodesOf(made)} makes and zeroes its partition; then ${who} brings it up to date`;
  const joining = members.filter((p) => !recorded.has(p.partitionUUID));
  if (joining.length > 0) return `degraded: the copy on node ${nodesOf(joining)} is not in sync yet; ${who} brings it up to date`;
  return `degraded: ${active} of ${numberOfCopies * drivesPerCopy} members are in sync; ${place}`;
}

/** Nothing is degraded, and a copy has to go. */
function leaving(volume: MeshStorVolume, members: PartitionRecord[]): string | null {
  const { owner, leavingNodes = [] } = (volume.status ?? {}) as VolumeStatus & { leavingNodes?: string[] };
  const who = owner ? `node ${owner.nodeName}` : "the node that uses the volume next";
  const away = members.filter((p) => leavingNodes.includes(p.nodeID));
  if (away.length > 0) return `the copy on node ${nodesOf(away)} shall leave; when another one is in sync, ${who} takes it out`;
  const copies = new Set(members.filter((p) => p.state !== "Faulty").map((p) => p.nodeID)).size;
  const { numberOfCopies } = volume.spec;
  return copies > numberOfCopies ? `there are ${copies} copies and ${numberOfCopies} are wanted; when these are in sync, ${who} takes the others out` : null;
}
