/** Since when the controller itself has seen something of a volume's partitions, by its monotonic clock: a wrong wall clock alone replaces nothing. Pure. */
import type { MeshStorVolume, PartitionRecord } from "../../api/volume.ts";
import type { Cluster } from "../placement/types.ts";

/** One partition; null: it is not so now. */
export interface Sight {
  /** State, time of its change, and epoch, as the record has them: another mark is another story. */
  mark: string;
  sinceMs: number;
  /** Its node has had no fresh heartbeat since. */
  unreadyMs: number | null;
  /** Its node is heard of and its drive is usable since. */
  backMs: number | null;
  /** It is made and could join, somebody runs the volume, and no other member of its mirror is being rebuilt, since. */
  idleMs: number | null;
}

/** By partition UUID. */
export type Sights = Readonly<Record<string, Sight>>;

/** What is known after one more look; partitions that are gone are forgotten. */
export function afterSight(before: Sights, volume: MeshStorVolume, cluster: Cluster, nowMs: number): Sights {
  const { partitions = [], owner, epoch = 0 } = volume.status ?? {};
  // Nobody takes a member in while nobody runs the volume: the next owner has the whole time.
  const mirrors = new Set(owner ? partitions.map((p) => p.mirror) : []);
  for (const p of partitions) if (p.state === "Syncing") mirrors.delete(p.mirror);
  return Object.fromEntries(
    partitions.map((p) => {
      const mark = `${p.state} ${p.updatedAt} ${epoch}`;
      return [
        p.partitionUUID,
        look(before[p.partitionUUID], nowMs, {
          mark,
          ready: isReady(cluster, p),
          back: isReady(cluster, p) && isDriveUsable(cluster, p),
          idle: p.state === "Created" && mirrors.has(p.mirror),
        }),
      ];
    }),
  );
}

/** What is so now of one partition, with what was so before. */
function look(before: Sight | undefined, nowMs: number, now: { mark: string; ready: boolean; back: boolean; idle: boolean }): Sight {
  const same = before?.mark === now.mark;
  const since = (holds: boolean, last: number | null | undefined) => (holds ? (last ?? nowMs) : null);
  return {
    mark: now.mark,
    sinceMs: same ? before.sinceMs : nowMs,
    unreadyMs: since(!now.ready, before?.unreadyMs),
    backMs: since(now.back, before?.backMs),
    idleMs: since(now.idle, same ? before.idleMs : null),
  };
}

function isReady({ nodes }: Cluster, p: PartitionRecord): boolean {
  return nodes.some((n) => n.name === p.nodeID && n.ready);
}

/** The drive of a partition is there and used. */
export function isDriveUsable(cluster: Cluster, p: Pick<PartitionRecord, "nodeID" | "drive">): boolean {
  return cluster.drives.some(({ use, status }) => status.nodeName === p.nodeID && status.drive === p.drive && status.health === "Usable" && use !== "Exclude");
}
