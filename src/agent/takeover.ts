/** What decides about takeover on this node. */
import { boundsOf } from "../core/bounds.ts";
import type { PeerWatch } from "./peers.ts";
import type { TakeoverPort } from "./ports.ts";

/** Others are judged; nothing is promised, and nobody is found unattended, until a guard runs and kubelet is watched (decision 0011). */
export function takeoverPort(peers: Pick<PeerWatch, "peers">): TakeoverPort {
  return { peers: () => peers.peers(), bounds: boundsOf(), promiseMs: null, unattended: () => false };
}
