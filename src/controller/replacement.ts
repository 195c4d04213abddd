/**
 * Other places for partitions that could not be made, in a volume that was never used: on another
 * drive of the same node where there is one, else the whole copy on another node. Pure.
 */
import type { MeshStorVolume, PartitionRecord, VolumeStatus } from "../api/volume.ts";
import { place } from "../core/placement/place.ts";
import type { Cluster, PlacedCopy, PlacementRequest } from "../core/placement/types.ts";
import { requestFor, sectorSizeOf } from "../core/placement/request.ts";
import { partitionSize } from "../core/sizes.ts";
import { failureOf, givenUp, type Misplaced, requestedPartitions, type Stamp } from "./provisioning.ts";

export type Replacement = { ok: true; status: VolumeStatus } | { ok: false; message: string };

/** The record with every misplaced partition given up and its place taken by another; nothing of it is written yet. */
export function replacePartitions(volume: MeshStorVolume, cluster: Cluster, misplaced: Misplaced, stamp: Stamp): Replacement {
  let status = volume.status ?? {};
  const wanted = (status.partitions ?? []).filter((p) => p.state !== "Deleting");
  for (const node of new Set(wanted.filter(misplaced).map((p) => p.nodeID))) {
    const next = replaceOn(node, { ...volume, status }, cluster, misplaced, stamp);
    if (!next.ok) return next;
    status = next.status;
  }
  return { ok: true, status };
}

function replaceOn(node: string, volume: MeshStorVolume, cluster: Cluster, misplaced: Misplaced, stamp: Stamp): Replacement {
  const status = volume.status ?? {};
  const copy = (status.partitions ?? []).filter((p) => p.nodeID === node && p.state !== "Deleting");
  const failed = copy.filter(misplaced);
  const here = onSameNode(node, failed, volume, cluster);
  if (here) {
    const mirrors = failed.map((p) => p.mirror);
    return { ok: true, status: exchanged(volume, failed, here, stamp, mirrors) };
  }
  const elsewhere = place(cluster, { ...requestFor(volume, sectorSizeOf(volume, cluster)), copies: 1, excludeNodes: takenNodes(status, node) });
  if (elsewhere.ok) return { ok: true, status: exchanged(volume, copy, elsewhere.copies, stamp) };
  return { ok: false, message: `${failed.map(failureOf).join(", ")}; no other place: ${elsewhere.message}` };
}

/** Other drives of the node than those that the volume has, or had, a partition on. */
function onSameNode(node: string, failed: PartitionRecord[], volume: MeshStorVolume, cluster: Cluster): PlacedCopy[] | null {
  const used = (volume.status?.partitions ?? []).filter((p) => p.nodeID === node);
  const request: PlacementRequest = {
    ...requestFor(volume, sectorSizeOf(volume, cluster)),
    copies: 1,
    drivesPerCopy: failed.length,
    excludeDrives: used.map((p) => ({ nodeID: node, drive: p.drive, why: "has or had a partition of this volume" })),
  };
  const placement = place({ ...cluster, nodes: cluster.nodes.filter((n) => n.name === node) }, request);
  return placement.ok ? placement.copies : null;
}

function exchanged(volume: MeshStorVolume, gone: PartitionRecord[], copies: PlacedCopy[], stamp: Stamp, mirrors?: number[]): VolumeStatus {
  const kept = givenUp(volume.status ?? {}, new Set(gone.map((p) => p.partitionUUID)), stamp.now);
  return { ...volume.status, partitions: [...kept, ...requestedPartitions(copies, partitionSize(volume.spec), stamp, mirrors)] };
}

function takenNodes(status: VolumeStatus, node: string): Map<string, string> {
  const taken = (status.partitions ?? []).filter((p) => p.state !== "Deleting").map((p) => [p.nodeID, "holds a copy of this volume"] as const);
  return new Map([...taken, [node, "could not make its partitions"]]);
}
