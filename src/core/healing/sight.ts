/** Since when the controller itself has seen something of a volume's partitions, by its monotonic clock: a wrong wall clock alone replaces nothing. Pure. */
import type { MeshStorVolume, PartitionRecord } from "../../api/volume.ts";
import type { Cluster } from "../placement/types.ts";

/** One partition; null: it is not so now. */
export interface Sight {
  /** State and time of its change, as the record has them: another mark is another story. */
  mark: string;
  sinceMs: number;
  /** Its node has had no fresh heartbeat since. */
  unreadyMs: number | null;
  /** Its node is heard of and its drive is usable since. */
  backMs: number | null;
  /** It is made and could join, and no other member of its mirror is being rebuilt, since. */
  idleMs: number | null;
}

/** By partition UUID. */
export type Sights = Readonly<Record<string, Sight>>;

/** What is known after one more look; partitions that are gone are forgotten. */
export function afterSight(before: Sights, volume: MeshStorVolume, cluster: Cluster, nowMs: number): Sights {
  const partitions = volume.status?.partitions ?? [];
  return Object.fromEntries(partitions.map((p) => [p.partitionUUID, look(before[p.partitionUUID], p, partitions, cluster, nowMs)]));
}

function look(before: Sight | undefined, p: PartitionRecord, all: readonly PartitionRecord[], cluster: Cluster, nowMs: number): Sight {
  const mark = `${p.state} ${p.updatedAt}`;
  const same = before?.mark === mark;
  const ready = cluster.nodes.some((n) => n.name === p.nodeID && n.ready);
  const busy = all.some((x) => x.mirror === p.mirror && x.state === "Syncing");
  const since = (holds: boolean, last: number | null | undefined) => (holds ? (last ?? nowMs) : null);
  return {
    mark,
    sinceMs: same ? before.sinceMs : nowMs,
    unreadyMs: since(!ready, before?.unreadyMs),
    backMs: since(ready && isDriveUsable(cluster, p), before?.backMs),
    idleMs: since(p.state === "Created" && !busy, same ? before.idleMs : null),
  };
}

/** The drive of a partition is there and used. */
export function isDriveUsable(cluster: Cluster, p: Pick<PartitionRecord, "nodeID" | "drive">): boolean {
  return cluster.drives.some(({ use, status }) => status.nodeName === p.nodeID && status.drive === p.drive && status.health === "Usable" && use !== "Exclude");
}
