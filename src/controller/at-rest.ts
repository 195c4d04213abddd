/** What people read of a volume that no node has assembled, or whose owner is silent: written by the controller, the owner writes all else. Nothing here does I/O. */
import { isDeepStrictEqual } from "node:util";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { withConditions } from "../core/conditions.ts";
import { sentenceAtRest } from "../core/sentence.ts";
import { summariseAtRest, withSummary } from "../core/summary.ts";
import { isoNow } from "./deps.ts";
import { FRESH_MS, type HeartbeatClock } from "./heartbeats.ts";
import { progressOf } from "./provisioning.ts";

/** The status with its summary brought up to date; null if it stands already, or if an owner speaks for the volume. */
export function summarisedAtRest(volume: MeshStorVolume): VolumeStatus | null {
  const status = volume.status ?? {};
  if (status.owner) return null;
  return withSummary(status, { ...summariseAtRest(volume), message: sentenceOf(volume) }) ?? null;
}

/** The same with the conditions, as people are told, and with the record's own sentence where there is no other; null if nothing changes. */
export function toldAtRest(volume: MeshStorVolume, clock: HeartbeatClock): VolumeStatus | null {
  const status = volume.status ?? {};
  if (status.owner) return null;
  const summarised = summarisedAtRest(volume) ?? status;
  const message = summarised.message || sentenceAtRest({ ...volume, status: summarised });
  const next = withConditions(volume, { ...summarised, message }, isoNow(clock));
  return isDeepStrictEqual(next, status) ? null : next;
}

/**
 * What stands of a volume whose owner is silent is that owner's last word: said, once. When its node is heard of again the
 * sentence goes, and the owner, if it still is one, says the rest. Null if nothing changes.
 */
export function toldOfOwner(volume: MeshStorVolume, clock: HeartbeatClock, silent: boolean): VolumeStatus | null {
  const status = volume.status ?? {};
  const said = status.conditions?.some(({ type, reason }) => type === "Ready" && reason === "OwnerSilent") ?? false;
  if (!status.owner || volume.metadata.deletionTimestamp || silent === said) return null;
  return withConditions(volume, { ...status, message: silent ? silence(status.owner.nodeName) : "" }, isoNow(clock), silent ? "OwnerSilent" : "Flows");
}

function silence(node: string): string {
  return `node ${node} has the volume in use and has not been heard of for ${FRESH_MS / 1000} s: what is shown is its last word; another node takes the volume over when a pod there asks for it`;
}

/** `status` as the volume's, summarised. */
export function withRest(volume: MeshStorVolume, status: VolumeStatus): VolumeStatus {
  return summarisedAtRest({ ...volume, status }) ?? status;
}

function sentenceOf(volume: MeshStorVolume): string {
  if (volume.metadata.deletionTimestamp) {
    const nodes = [...new Set((volume.status?.partitions ?? []).map((p) => p.nodeID))].join(", ");
    return nodes === "" ? "" : `being deleted: waiting for node ${nodes} to wipe and free its partitions`;
  }
  const progress = progressOf(volume);
  // Why an unplaced volume finds no place is written by who looked for one.
  if (progress.kind === "unplaced") return volume.status?.message ?? "";
  return progress.kind === "ready" ? wishOf(volume) : progress.sentence;
}

/** What waits for an owner: nobody else can rebuild a copy, or take one out of use. */
function wishOf({ spec, status }: MeshStorVolume): string {
  if (status?.mirrors === undefined) return "";
  const nodes = new Set((status.partitions ?? []).filter((p) => p.state !== "Deleting").map((p) => p.nodeID));
  const leaving = (status.leavingNodes ?? []).filter((node) => nodes.has(node));
  if (leaving.length > 0) return `the copy on node ${leaving.join(", ")} moves when the volume is next used`;
  return nodes.size === spec.numberOfCopies ? "" : `${nodes.size} copies are there and ${spec.numberOfCopies} wanted: that is mended when the volume is next used`;
}
