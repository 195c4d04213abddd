/** What decides about takeover on this node. */
import { boundsOf, promiseOf } from "../core/bounds.ts";
import type { PeerWatch } from "./peers.ts";
import type { TakeoverPort } from "./ports.ts";

/**
 * Others are judged, and this node promises what its guard keeps (Z16). Nobody is found unattended: kubelet is not watched
 * yet (decision 0011).
 */
export function takeoverPort(peers: Pick<PeerWatch, "peers">): TakeoverPort {
  const bounds = boundsOf();
  return { peers: () => peers.peers(), bounds, promiseMs: promiseOf(bounds), unattended: () => false };
}
