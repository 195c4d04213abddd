/** What every part of the controller role is given. */
import type { MeshStorNodeDevice } from "../api/node-device.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import type { Logger } from "../base/log.ts";
import type { CandidateNode } from "../core/placement/types.ts";
import type { KubeClient } from "../kube/client.ts";
import type { HeartbeatClock } from "./heartbeats.ts";
import { isFaulty, type Misplaced } from "./provisioning.ts";
import type { Waiters } from "./waiters.ts";

export interface ControllerDeps {
  client: KubeClient;
  log: Logger;
  clock: HeartbeatClock;
  /** A random UUID. */
  newID: () => string;
  waiters: Waiters;
  /** What the informers show: as of a moment ago. */
  cache: {
    volume(name: string): MeshStorVolume | undefined;
    volumes(): MeshStorVolume[];
    devices(): MeshStorNodeDevice[];
    nodes(): CandidateNode[];
    /** Names of all Node objects. */
    nodeNames(): Set<string>;
    /** Nothing was heard of the API for so long that ages say nothing. */
    isStale(): boolean;
  };
}

/** The wall clock as records carry it. */
export function isoNow(clock: HeartbeatClock): string {
  return new Date(clock.wallMs()).toISOString().replace(/\.\d+Z$/, "Z");
}

/** Time that a node without a heartbeat is waited for before its part of a never-used volume goes elsewhere. */
const LOST_MS = 60_000;

/** Which partitions will not be made where they are: their node says so, or has not been heard of. */
export function misplacedIn({ cache, clock }: Pick<ControllerDeps, "cache" | "clock">): Misplaced {
  const ready = new Set(
    cache
      .nodes()
      .filter((node) => node.ready)
      .map((node) => node.name),
  );
  const isLost: Misplaced = (p) => p.state === "Requested" && !ready.has(p.nodeID) && clock.wallMs() - Date.parse(p.updatedAt) > LOST_MS;
  return (partition) => isFaulty(partition) || isLost(partition);
}
