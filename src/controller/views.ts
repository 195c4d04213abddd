/** What CSI callers are told of volumes and of free space. Pure. */
import type { MeshStorVolume } from "../api/volume.ts";
import type { VolumeParameters } from "../api/parameters.ts";
import type { PlacementWish } from "../core/placement/types.ts";
import { sentenceOf } from "../core/sentence.ts";
import { summariseAtRest } from "../core/summary.ts";
import type { VolumeSummary } from "../csi/controller-port.ts";
import { progressOf } from "./provisioning.ts";

/** A volume as CSI callers see it. */
export function summaryOf(volume: MeshStorVolume): VolumeSummary {
  const { metadata, spec } = volume;
  return { volumeID: metadata.name, capacityBytes: spec.capacityBytes, spec, ...conditionOf(volume) };
}

function conditionOf(volume: MeshStorVolume): { abnormal: boolean; message: string } {
  const progress = progressOf(volume);
  if (progress.kind === "unplaced") return { abnormal: true, message: volume.status?.message || "the volume has no place yet" };
  if (progress.kind !== "ready") return { abnormal: true, message: progress.sentence };
  // The summary of a volume at rest may not be written yet: the record says it.
  const { degraded = 0 } = volume.status?.owner ? volume.status : summariseAtRest(volume);
  if (degraded === 0) return { abnormal: false, message: "all copies are in sync" };
  return { abnormal: true, message: sentenceOf(volume) };
}

/** The volumes that are there for CSI callers: a deleted one is gone for them, though nodes may still wipe it. */
export function listed(volumes: readonly MeshStorVolume[]): VolumeSummary[] {
  return volumes
    .filter((volume) => volume.metadata.deletionTimestamp === undefined)
    .map(summaryOf)
    .toSorted((a, b) => (a.volumeID < b.volumeID ? -1 : 1));
}

/** What volumes of these parameters want of drives and nodes. */
export function wishOf({ numberOfCopies, drivesPerCopy, sectorSize }: VolumeParameters): PlacementWish {
  return { copies: numberOfCopies, drivesPerCopy, ...(sectorSize !== undefined && { sectorSize }), excludeNodes: new Map(), excludeDrives: [] };
}
