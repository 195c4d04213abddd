/** What healing looks at. Plain data. */
import type { MeshStorVolume, VolumeStatus } from "../../api/volume.ts";
import type { Cluster } from "../placement/types.ts";
import type { HealingLimits } from "./limits.ts";
import type { Sights } from "./sight.ts";

export interface HealingInput {
  volume: MeshStorVolume;
  /** Nodes, drives and promises, as placement sees them. */
  cluster: Cluster;
  /** Names of all Node objects there are; null: not known for certain, so nobody is taken for gone. */
  nodeNames: ReadonlySet<string> | null;
  /** Copies that are made or rebuilt now, by target and by owner (rebuildsOf). */
  rebuilds: ReadonlyMap<string, number>;
  sights: Sights;
  /** Monotonic and wall clock of the controller, ms. */
  nowMs: number;
  wallMs: number;
  /** What the controller knows of the cluster is old: nothing is decided. */
  stale: boolean;
  limits: HealingLimits;
  /** Wall clock, ISO 8601, for what is written. */
  now: string;
  /** Fresh random UUIDs, one per mirror at least. */
  ids: readonly string[];
}

/** `why`: what was decided, one clause each. */
export type Healing = { kind: "none" } | { kind: "write"; status: VolumeStatus; why: string[] };
