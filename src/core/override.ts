/**
 * The manual override for "only a stale copy is left" (I3): a person decides that a volume goes on from a copy that may miss
 * acknowledged writes. A change of the record, made by the command line by compare-and-swap, never by a planner. Pure.
 */
import type { FormerOwner, MeshStorVolume, OverrideRecord, PartitionRecord, VolumeStatus } from "../api/volume.ts";
import type { RecordResult } from "./record-base.ts";
import { isBigEnough } from "./growth.ts";
import { accept, findPartition, mapMirror, refuse } from "./record-base.ts";

/** What a person has said. */
export interface OverrideRequest {
  mirror: number;
  /** Partition UUID of the copy that shall be believed. */
  chosen: string;
  /** Goes on although a rebuild into the copy had begun: it holds a mixture of old and new. */
  evenHalfSynced: boolean;
  /** The person vouches that the owner's machine is off; refused without it while there is an owner. */
  ownerIsOff: boolean;
  by: string;
  /** Wall clock, ISO 8601. */
  now: string;
}

/** What would be lost, before anybody is asked to confirm it. */
export interface OverrideOutlook {
  /** Members of R that would be given up, with the nodes that hold them. */
  givenUp: { partitionUUID: string; nodeID: string }[];
  /** The chosen copy was whole when it left R; false: a rebuild into it had begun. */
  consistent: boolean;
  /** One sentence for the person who decides. */
  sentence: string;
}

/** Describes what the override would mean; null if there is no such member. */
export function overrideOutlook(volume: MeshStorVolume, request: Pick<OverrideRequest, "mirror" | "chosen">): OverrideOutlook | null {
  const status = volume.status ?? {};
  const chosen = findPartition(status, request.chosen);
  const R = status.mirrors?.[request.mirror]?.inSync ?? [];
  if (!chosen || chosen.mirror !== request.mirror) return null;
  const givenUp = R.filter((uuid) => uuid !== request.chosen).map((uuid) => ({ partitionUUID: uuid, nodeID: findPartition(status, uuid)?.nodeID ?? "unknown" }));
  const consistent = chosen.half !== true && wasWhole(chosen);
  const nodes = [...new Set(givenUp.map((m) => m.nodeID))].join(", ");
  const state = consistent ? "is whole, as of the moment when it left" : "is half-synced: a rebuild into it had begun, and its content is neither old nor new";
  const sentence = `volume ${volume.metadata.name}, mirror ${request.mirror}: every write since the copy on node ${chosen.nodeID} left the volume is lost with the copy on node ${nodes}; the chosen copy ${state}`;
  return { givenUp, consistent, sentence };
}

/** Only a member that was in R once, and is named so by the record, was ever whole. */
function wasWhole(p: PartitionRecord): boolean {
  return p.outSince !== undefined || p.state === "Synced" || p.state === "Missing" || (p.state === "Faulty" && p.unmade !== true);
}

/**
 * R of the mirror becomes the chosen copy alone, under a new generation; everyone else loses the claim on the bitmap and is
 * rebuilt in full (I5). The owner goes, as one that is declared off; the next start is unclean, by one member (I3).
 */
export function recordOverride(volume: MeshStorVolume, request: OverrideRequest): RecordResult {
  const status = volume.status ?? {};
  const mirror = status.mirrors?.[request.mirror];
  const outlook = overrideOutlook(volume, request);
  if (!mirror || !outlook) return refuse(`partition ${request.chosen} is not a member of mirror ${request.mirror}`);
  if (mirror.inSync.includes(request.chosen)) return refuse(`partition ${request.chosen} is recorded in sync: no override is needed`);
  const chosen = findPartition(status, request.chosen)!;
  if (["Requested", "Created", "Replacing", "Deleting"].includes(chosen.state) || chosen.unmade)
    return refuse(`partition ${request.chosen} is in state ${chosen.state}: it holds no copy`);
  // Nothing is assembled on less than the record says; where there is room behind it, its node makes it bigger by itself.
  if (!isBigEnough(volume, chosen))
    return refuse(
      `partition ${request.chosen} has ${chosen.sizeBytes} bytes and the volume has grown since: node ${chosen.nodeID} makes it bigger first, if there is room behind it`,
    );
  if (!outlook.consistent && !request.evenHalfSynced) return refuse(`partition ${request.chosen} is half-synced`);
  if (status.owner && !request.ownerIsOff) return refuse(`node ${status.owner.nodeName} owns the volume: it must be off for good`);
  const givenUp = outlook.givenUp.map((m) => m.partitionUUID);
  const entry: OverrideRecord = { at: request.now, by: request.by, mirror: mirror.index, chosen: request.chosen, givenUp, consistent: outlook.consistent };
  const { owner: _owner, nodeName: _node, handOver: _wish, ...rest } = status;
  return accept({
    ...rest,
    ...formerOf(status, request.now),
    lastStop: "Unclean",
    mirrors: mapMirror(status, mirror.index, (m) => ({ ...m, generation: m.generation + 1, inSync: [request.chosen] })),
    partitions: (status.partitions ?? []).map((p) => (p.mirror === mirror.index ? believed(p, request.chosen, givenUp, request.now) : p)),
    overrides: [...(status.overrides ?? []), entry],
  });
}

/** I10: somebody vouches that the owner's machine is off, so nothing has to be waited for; what it left is still taken down. */
function formerOf(status: VolumeStatus, at: string): { former?: FormerOwner[] } {
  if (!status.owner) return {};
  const { nodeName, nodeUID, bootID } = status.owner;
  return { former: [...(status.former ?? []), { nodeName, nodeUID, bootID, epoch: status.epoch ?? 1, judged: "OutOfService", waitMs: 0, at }] };
}

function believed(p: PartitionRecord, chosen: string, givenUp: readonly string[], now: string): PartitionRecord {
  const { outSince: _claim, ...rest } = p;
  if (p.partitionUUID !== chosen) return givenUp.includes(p.partitionUUID) ? { ...rest, state: "Missing", updatedAt: now } : rest;
  const { half: _half, failedJoins: _failed, message: _message, ...whole } = rest;
  return { ...whole, state: "Synced", updatedAt: now };
}
