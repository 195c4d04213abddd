/** What decides about takeover on this node. */
import { boundsOf, promiseOf } from "../core/bounds.ts";
import type { KubeletWatch } from "./kubelet-watch.ts";
import type { PeerWatch } from "./peers.ts";
import type { TakeoverPort } from "./ports.ts";

/** The bounds of this node. */
export const TAKEOVER_BOUNDS = boundsOf();

/** Others are judged, this node promises what its guard keeps (Z16), and hands over what its own kubelet left behind (decision 0011). */
export function takeoverPort(peers: Pick<PeerWatch, "peers">, kubelet: Pick<KubeletWatch, "unattended">): TakeoverPort {
  return { peers: () => peers.peers(), bounds: TAKEOVER_BOUNDS, promiseMs: promiseOf(TAKEOVER_BOUNDS), unattended: (view) => kubelet.unattended(view) };
}
