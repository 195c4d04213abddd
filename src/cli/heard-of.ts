/** When a node's program was last heard of, by its heartbeat and this machine's clock: a hint for a person, no proof. */
import { NAMESPACE, nodeLeaseName } from "../api/names.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import { LEASES } from "../kube/resources.ts";
import type { Context } from "./context.ts";
import { age } from "./table.ts";

/** A heartbeat comes every ten seconds: one that is older than this has been missed more than once. */
const SILENT_MS = 40_000;

/** One sentence for each of these nodes that has ever been heard of. */
export async function heardOf(context: Context, nodes: readonly string[], leastMs = Number.NEGATIVE_INFINITY): Promise<string[]> {
  const sentences: string[] = [];
  for (const node of nodes) {
    const lease = await context.client.tryGet(LEASES, nodeLeaseName(node), { namespace: NAMESPACE }).catch(() => null);
    const { renewTime } = lease?.spec ?? {};
    if (renewTime && context.now() - Date.parse(renewTime) >= leastMs) sentences.push(`the program of node ${node} was last heard of ${age(renewTime, context.now())} ago`);
  }
  return sentences;
}

/** The same for the nodes that a volume needs, where one is silent: what its record says may be old then. */
export function silentNodes(context: Context, { status = {} }: MeshStorVolume): Promise<string[]> {
  const holders = (status.partitions ?? []).map((p) => p.nodeID);
  return heardOf(context, [...new Set([...(status.owner ? [status.owner.nodeName] : []), ...holders])], SILENT_MS);
}
