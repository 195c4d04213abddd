/** How much could be provisioned: the biggest volume, and what is free in all. Pure. */
import { MiB, roundDown } from "../../base/units.ts";
import { drivesOf, judgeDrive, judgeNode } from "./filters.ts";
import { biggestFit } from "./holes.ts";
import { sectorSizesOf } from "./place.ts";
import { capacityOfPartitions } from "./sizes.ts";
import type { Cluster, PlacementWish } from "./types.ts";

export interface Capacity {
  /** Bytes that volumes of this kind can still take, counted once for each volume (not for each copy). */
  availableBytes: number;
  /** Size of the biggest volume that can be made now. */
  biggestVolumeBytes: number;
}

interface NodeRoom {
  node: string;
  /** Biggest volume whose copy fits on the node. */
  biggest: number;
  free: number;
}

/** Capacity for volumes of this kind; with `within`, for those that have a copy on one of these nodes. */
export function capacityOf(cluster: Cluster, wish: PlacementWish, within?: readonly string[]): Capacity {
  const best: Capacity = { availableBytes: 0, biggestVolumeBytes: 0 };
  for (const sectorSize of sectorSizesOf(wish)) {
    const rooms = cluster.nodes.filter((node) => judgeNode(node, wish) === null).map((node) => roomOf(cluster, node.name, sectorSize, wish));
    const one = capacityOfRooms(rooms, wish.copies, within);
    best.availableBytes = Math.max(best.availableBytes, one.availableBytes);
    best.biggestVolumeBytes = Math.max(best.biggestVolumeBytes, one.biggestVolumeBytes);
  }
  return best;
}

function roomOf(cluster: Cluster, node: string, sectorSize: number, wish: PlacementWish): NodeRoom {
  const rooms: number[] = [];
  let free = 0;
  for (const drive of drivesOf(cluster, node)) {
    if (judgeDrive(drive, { sectorSize, partitionBytes: MiB }, wish) !== null) continue;
    const holes = drive.status.holes.map((hole) => hole.sizeBytes);
    rooms.push(biggestFit(holes, drive.promised));
    free += Math.max(0, holes.reduce((sum, size) => sum + size, 0) - drive.promised.reduce((sum, size) => sum + size, 0));
  }
  rooms.sort((a, b) => b - a);
  return { node, biggest: capacityOfPartitions(rooms[wish.drivesPerCopy - 1] ?? 0, wish.drivesPerCopy), free };
}

function capacityOfRooms(rooms: NodeRoom[], copies: number, within?: readonly string[]): Capacity {
  const sorted = rooms.toSorted((a, b) => b.biggest - a.biggest);
  const first = within === undefined ? sorted[0] : sorted.find((room) => within.includes(room.node));
  const others = sorted.filter((room) => room !== first);
  const last = copies === 1 ? first : others[copies - 2];
  const biggestVolumeBytes = first && last ? Math.min(first.biggest, last.biggest) : 0;
  if (biggestVolumeBytes === 0) return { availableBytes: 0, biggestVolumeBytes: 0 };
  const inside = rooms.filter((room) => within === undefined || within.includes(room.node));
  const free = inside.reduce((sum, room) => sum + room.free, 0);
  const share = within === undefined ? free / copies : free;
  return { availableBytes: Math.max(biggestVolumeBytes, roundDown(share, MiB)), biggestVolumeBytes };
}
