/** What placement is asked, what it looks at, and what it answers. Plain data. */
import type { DeviceStatus, DriveUse } from "../../api/node-device.ts";

export interface CandidateNode {
  name: string;
  /** Its heartbeat is fresh. */
  ready: boolean;
  cordoned: boolean;
  /** Labels of the Kubernetes node that copies may be spread over. */
  topology: Readonly<Record<string, string>>;
  /** Somebody is emptying it: it gets no new copy, and gives up those that it has. */
  leaving?: boolean;
  /** Until this wall time it is in declared maintenance: what is missing on it is not replaced. */
  maintenanceUntilMs?: number;
}

export interface CandidateDrive {
  use: DriveUse;
  status: DeviceStatus;
}

/** Space that a record has promised and that the drive's holes do not show yet. */
export interface Reservation {
  nodeID: string;
  drive: string;
  sizeBytes: number;
}

export interface Cluster {
  nodes: readonly CandidateNode[];
  drives: readonly CandidateDrive[];
  reservations: readonly Reservation[];
}

export interface DriveExclusion {
  nodeID: string;
  drive: string;
  why: string;
}

/** What is wanted of drives and nodes, whatever the size. */
export interface PlacementWish {
  copies: number;
  drivesPerCopy: number;
  /** Logical sector size of every member; without it 4096 if possible, else 512. */
  sectorSize?: number;
  /** Nodes that may not take a copy, and why: a clause that follows the node's name. */
  excludeNodes: ReadonlyMap<string, string>;
  excludeDrives: readonly DriveExclusion[];
}

export interface PlacementRequest extends PlacementWish {
  /** Size of the partition that carries one member. */
  partitionBytes: number;
  /** Nodes that get a copy before all others if they can hold one, in this order. */
  preferredNodes: readonly string[];
  /** Nodes that go before the rest where nothing of the above decides. */
  favouredNodes: readonly string[];
  /** Topology keys over whose values the copies are spread, the most important one first. */
  spread: readonly string[];
  /** Decides between equals; the same seed gives the same choice. */
  seed: string;
}

/** One copy: `drives[k]` takes its member of mirror k. */
export interface PlacedCopy {
  node: string;
  drives: string[];
  /** Why this node was chosen, one clause. */
  why: string;
}

export interface NodeRefusal {
  node: string;
  /** One clause that follows the node's name. */
  why: string;
}

export type Placement =
  | { ok: true; sectorSize: number; copies: PlacedCopy[]; refused: NodeRefusal[] }
  | { ok: false; code: "NotEnoughNodes" | "NoCapacity"; message: string; refused: NodeRefusal[] };
