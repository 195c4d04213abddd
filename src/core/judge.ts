/**
 * Is a node gone? Judged from what the observer itself sees (decision 0011): its Node object, a taint, and how long ago, on
 * the observer's own monotonic clock, its heartbeat last changed. Whatever cannot be judged is alive. Pure.
 */
import type { Verdict } from "../api/volume.ts";
import type { Bounds } from "./bounds.ts";

/** One Kubernetes node as the observer sees it now. */
export interface Peer {
  nodeUID: string;
  /** Carries the taint node.kubernetes.io/out-of-service: somebody vouches that the machine does not run. */
  outOfService: boolean;
  /** How long its Lease has been watched without a change and without a gap, in ms; null if it has none. */
  silentMs: number | null;
}

/** All nodes by name; null while the observation is not complete or has a gap: then nobody is judged. */
export type Peers = ReadonlyMap<string, Peer> | null;

/** Why a node is gone, or null: it is alive as far as can be told. A node without UID is looked up by its name alone. */
export function judge(node: { nodeName: string; nodeUID?: string }, peers: Peers, bounds: Bounds): Verdict | null {
  if (peers === null) return null;
  const peer = peers.get(node.nodeName);
  if (!peer || (node.nodeUID !== undefined && peer.nodeUID !== node.nodeUID)) return "Deleted";
  if (peer.outOfService) return "OutOfService";
  return peer.silentMs !== null && peer.silentMs > bounds.leaseGoneMs ? "Silent" : null;
}

/** Somebody vouches that it does not run: nothing has to be waited for (I10). */
export function isDeclaredDead(verdict: Verdict | null): boolean {
  return verdict === "Deleted" || verdict === "OutOfService";
}

/** A verdict in words, about a node. */
export function sentenceOf(verdict: Verdict): string {
  if (verdict === "Deleted") return "its Node object is gone";
  return verdict === "OutOfService" ? "it is declared out of service" : "its heartbeat has stopped";
}
