/** What a volume asks of nodes and drives, as a placement request. Pure. */
import type { MeshStorVolume } from "../../api/volume.ts";
import { partitionSize } from "../sizes.ts";
import type { Cluster, PlacementRequest } from "./types.ts";

/** Node labels over whose values copies are spread, the most important one first. */
export const SPREAD_KEYS = ["topology.kubernetes.io/zone"] as const;

/** What the volume asks of its members, as a placement request without wishes. */
export function requestFor(volume: MeshStorVolume, sectorSize: number | undefined): PlacementRequest {
  const { numberOfCopies, drivesPerCopy } = volume.spec;
  return {
    copies: numberOfCopies,
    drivesPerCopy,
    partitionBytes: partitionSize(volume.spec),
    ...(sectorSize !== undefined && { sectorSize }),
    excludeNodes: new Map(),
    excludeDrives: [],
    preferredNodes: [],
    favouredNodes: [],
    spread: SPREAD_KEYS,
    seed: volume.metadata.name,
  };
}

/** The sector size of the volume's members, where it is decided: all of them have the same. */
export function sectorSizeOf(volume: MeshStorVolume, cluster: Cluster): number | undefined {
  const members = (volume.status?.partitions ?? []).filter((p) => p.state !== "Deleting" && p.state !== "Faulty");
  const drive = cluster.drives.find(({ status }) => members.some((p) => p.nodeID === status.nodeName && p.drive === status.drive));
  return volume.spec.sectorSize ?? drive?.status.sectorSize;
}
