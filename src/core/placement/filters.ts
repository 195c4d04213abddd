/** Why a node or a drive cannot take a copy: small named predicates, each with its clause. */
import { biggestFit, fits } from "./holes.ts";
import { exactSize } from "./sizes.ts";
import type { CandidateDrive, CandidateNode, Cluster, PlacementWish } from "./types.ts";

/** A drive with the sizes of the partitions that are promised on it. */
export interface DriveView extends CandidateDrive {
  promised: readonly number[];
}

/** What one member needs. */
export interface MemberNeed {
  sectorSize: number;
  partitionBytes: number;
}

export interface NodeFilter {
  name: string;
  /** The clause that says why not, or null. */
  refuse(node: CandidateNode, wish: PlacementWish): string | null;
}

export interface DriveFilter {
  name: string;
  /** True if free space could make it pass. */
  space: boolean;
  refuse(drive: DriveView, need: MemberNeed, wish: PlacementWish): string | null;
}

export const NODE_FILTERS: readonly NodeFilter[] = [
  { name: "notExcluded", refuse: (node, wish) => wish.excludeNodes.get(node.name) ?? null },
  { name: "freshHeartbeat", refuse: (node) => (node.ready ? null : "has no fresh heartbeat") },
  { name: "notCordoned", refuse: (node) => (node.cordoned ? "is cordoned" : null) },
  { name: "notLeaving", refuse: (node) => (node.leaving ? "is being emptied" : null) },
];

export const DRIVE_FILTERS: readonly DriveFilter[] = [
  { name: "notExcluded", space: false, refuse: (drive, _need, wish) => exclusion(drive, wish) },
  { name: "used", space: false, refuse: (drive) => (drive.use === "Exclude" ? "is excluded by its spec.use" : null) },
  { name: "healthy", space: false, refuse: ({ status }) => (status.health === "Usable" ? null : `is not used (${status.health})`) },
  {
    name: "sectorSize",
    space: false,
    refuse: ({ status }, need) => (status.sectorSize === need.sectorSize ? null : `has sectors of ${status.sectorSize} bytes, ${need.sectorSize} are wanted`),
  },
  {
    name: "partitionEntries",
    space: true,
    refuse: ({ status, promised }) => (status.freePartitionEntries > promised.length ? null : "has no free entry in its partition table"),
  },
  { name: "hole", space: true, refuse: (drive, need) => holeRefusal(drive, need) },
];

function exclusion({ status }: DriveView, wish: PlacementWish): string | null {
  return wish.excludeDrives.find((e) => e.nodeID === status.nodeName && e.drive === status.drive)?.why ?? null;
}

function holeRefusal({ status, promised }: DriveView, need: MemberNeed): string | null {
  const holes = status.holes.map((hole) => hole.sizeBytes);
  if (fits(holes, [...promised, need.partitionBytes])) return null;
  const room = biggestFit(holes, promised);
  return `has room for ${exactSize(room)} in one piece, ${exactSize(need.partitionBytes)} are needed`;
}

/** The first filter that a drive fails, or null. */
export function judgeDrive(drive: DriveView, need: MemberNeed, wish: PlacementWish): { why: string; space: boolean } | null {
  for (const filter of DRIVE_FILTERS) {
    const why = filter.refuse(drive, need, wish);
    if (why !== null) return { why, space: filter.space };
  }
  return null;
}

/** The clause of the first filter that a node fails, or null. */
export function judgeNode(node: CandidateNode, wish: PlacementWish): string | null {
  for (const filter of NODE_FILTERS) {
    const why = filter.refuse(node, wish);
    if (why !== null) return why;
  }
  return null;
}

/** The drives of a node with what is promised on each. */
export function drivesOf(cluster: Cluster, node: string): DriveView[] {
  return cluster.drives
    .filter((drive) => drive.status.nodeName === node)
    .map((drive) => ({ ...drive, promised: cluster.reservations.filter((r) => r.nodeID === node && r.drive === drive.status.drive).map((r) => r.sizeBytes) }));
}
