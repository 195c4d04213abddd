/** Who this node is: name, UID, boot, and the address that its exports are offered at. */
import { TCP_ADDRESS_ANNOTATION, TCP_PORT } from "../api/names.ts";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { MeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { PlanInput } from "../core/plan.ts";
import { type KubeClient, KubeError } from "../kube/client.ts";
import type { Node } from "../kube/resources.ts";
import { NODES } from "../kube/resources.ts";

/**
 * Reads the Kubernetes Node and makes the identity of this boot.
 * @throws MeshStorError HostUnsuitable naming the annotation or address at fault
 */
export async function readIdentity(client: KubeClient, nodeName: string, bootID: string): Promise<PlanInput["me"]> {
  const node = await client.tryGet(NODES, nodeName);
  if (!node) throw new MeshStorError("HostUnsuitable", `Kubernetes node ${nodeName} does not exist; --node-name must be the name that 'kubectl get nodes' shows`);
  return { nodeName, nodeUID: node.metadata.uid ?? "", bootID, address: exportAddress(node), port: TCP_PORT };
}

/** Between two questions of a program that began while nobody answers. */
const ASK_AGAIN_MS = 2_000;

/**
 * The same, as soon as the API server answers: without it nothing can be decided, and what runs goes on running.
 * @throws MeshStorError HostUnsuitable; the signal's reason if it is aborted first
 */
export async function awaitIdentity(read: () => Promise<PlanInput["me"]>, log: Pick<Logger, "warn">, signal: AbortSignal, againMs = ASK_AGAIN_MS): Promise<PlanInput["me"]> {
  for (let said = false; ; said = true) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof KubeError) || !error.isUnavailable) throw error;
      if (!said) log.warn("the node program waits for the API server to answer", { error: error.message });
    }
    await sleep(againMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** The annotation, else the first InternalIP; IPv4 or IPv6. */
export function exportAddress(node: Node): string {
  const annotated = node.metadata.annotations?.[TCP_ADDRESS_ANNOTATION];
  if (annotated !== undefined) {
    if (isIP(annotated) === 0) throw new MeshStorError("HostUnsuitable", `annotation ${TCP_ADDRESS_ANNOTATION} of node ${node.metadata.name} is not an IP address: ${annotated}`);
    return annotated;
  }
  const internal = node.status?.addresses?.find((a) => a.type === "InternalIP" && isIP(a.address) !== 0);
  if (!internal) throw new MeshStorError("HostUnsuitable", `node ${node.metadata.name} has no InternalIP and no annotation ${TCP_ADDRESS_ANNOTATION}`);
  return internal.address;
}
