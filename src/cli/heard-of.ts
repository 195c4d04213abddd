/** When a node's program was last heard of, by its heartbeat and this machine's clock: a hint for a person, no proof. */
import { NAMESPACE, nodeLeaseName } from "../api/names.ts";
import { LEASES } from "../kube/resources.ts";
import type { Context } from "./context.ts";
import { age } from "./table.ts";

/** One sentence for each node that has been heard of. */
export async function heardOf(context: Context, nodes: readonly string[]): Promise<string[]> {
  const sentences: string[] = [];
  for (const node of nodes) {
    const lease = await context.client.tryGet(LEASES, nodeLeaseName(node), { namespace: NAMESPACE }).catch(() => null);
    if (lease?.spec.renewTime) sentences.push(`the program of node ${node} was last heard of ${age(lease.spec.renewTime, context.now())} ago`);
  }
  return sentences;
}
