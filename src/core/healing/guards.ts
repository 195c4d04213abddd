/** Why a replacement may not begin now. Each answer is a clause, or null. Pure. */
import type { MeshStorVolume } from "../../api/volume.ts";
import type { CandidateNode } from "../placement/types.ts";
import type { HealingInput } from "./input.ts";

/** maintenance: the node is declared to be away for a while. */
export function inMaintenance(input: HealingInput, node: string): string | null {
  const until = nodeOf(input, node)?.maintenanceUntilMs;
  return until !== undefined && until > input.wallMs ? `node ${node} is in maintenance until ${new Date(until).toISOString()}` : null;
}

/** maxNodesAway: when much is away, it is the network or the power, and all of it comes back together. */
export function tooManyAway({ cluster, limits }: HealingInput): string | null {
  const all = cluster.nodes.length;
  const away = cluster.nodes.filter((n) => !n.ready).map((n) => n.name);
  const most = Math.round(limits.maxNodesAway * 100);
  return all > 0 && away.length / all > limits.maxNodesAway ? `${away.length} of ${all} nodes are away (${away.join(", ")}), more than ${most} %` : null;
}

/** maxRebuildsPerNode, for a node in either part. */
export function rebuildsEnough({ rebuilds, limits }: HealingInput, node: string): string | null {
  const count = rebuilds.get(node) ?? 0;
  return count >= limits.maxRebuildsPerNode ? `rebuilds ${count} ${count === 1 ? "copy" : "copies"} already` : null;
}

export function nodeOf({ cluster }: HealingInput, name: string): CandidateNode | undefined {
  return cluster.nodes.find((n) => n.name === name);
}

const UNDER_WAY: ReadonlySet<string> = new Set(["Requested", "Created", "Syncing", "Spare"]);

/** Copies of volumes in use that are made or rebuilt now: by the node that gets them, and by the owner that copies. */
export function rebuildsOf(volumes: readonly MeshStorVolume[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { status } of volumes) {
    if (!status?.owner) continue;
    const targets = new Set((status.partitions ?? []).filter((p) => UNDER_WAY.has(p.state)).map((p) => p.nodeID));
    for (const target of targets) for (const node of new Set([target, status.owner.nodeName])) counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return counts;
}
