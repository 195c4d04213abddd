/** The cluster as placement sees it, from Kubernetes objects. Pure. */
import { EMPTY_ANNOTATION, MAINTENANCE_ANNOTATION, nodeLeaseName } from "../api/names.ts";
import type { MeshStorNodeDevice } from "../api/node-device.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import type { CandidateDrive, CandidateNode, Reservation } from "../core/placement/types.ts";
import type { Node } from "../kube/resources.ts";
import type { Heartbeats } from "./heartbeats.ts";

/** Nodes that run (or ran) the node program. */
export function candidateNodes(nodes: readonly Node[], heartbeats: Pick<Heartbeats, "knows" | "isFresh">): CandidateNode[] {
  return nodes
    .filter((node) => heartbeats.knows(nodeLeaseName(node.metadata.name)))
    .map((node) => ({
      name: node.metadata.name,
      ready: heartbeats.isFresh(nodeLeaseName(node.metadata.name)),
      cordoned: node.spec.unschedulable === true,
      topology: node.metadata.labels ?? {},
      ...(node.metadata.annotations?.[EMPTY_ANNOTATION] === "true" && { leaving: true }),
      ...maintenanceOf(node),
    }));
}

/** What cannot be read as a time declares nothing. */
function maintenanceOf({ metadata }: Node): { maintenanceUntilMs?: number } {
  const until = Date.parse(metadata.annotations?.[MAINTENANCE_ANNOTATION] ?? "");
  return Number.isNaN(until) ? {} : { maintenanceUntilMs: until };
}

export function candidateDrives(devices: readonly MeshStorNodeDevice[]): CandidateDrive[] {
  return devices.flatMap(({ spec, status }) => (status ? { use: spec.use, status } : []));
}

/**
 * Space that records promise and that no drive shows yet: partitions that are requested and not begun.
 * (One whose zeroing has begun is in the drive's table, and so out of its holes.)
 */
export function reservationsOf(volumes: readonly MeshStorVolume[]): Reservation[] {
  return volumes
    .filter((volume) => volume.metadata.deletionTimestamp === undefined)
    .flatMap((volume) => volume.status?.partitions ?? [])
    .filter((partition) => partition.state === "Requested" && partition.progress === undefined)
    .map(({ nodeID, drive, sizeBytes }) => ({ nodeID, drive, sizeBytes }));
}
