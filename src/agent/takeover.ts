/** What decides about takeover on this node (decision 0011): the other nodes, and its own kubelet. */
import { boundsOf, promiseOf } from "../core/bounds.ts";
import { KubeletWatch, type KubeletWatchDeps } from "./kubelet-watch.ts";
import { PeerWatch } from "./peers.ts";
import type { TakeoverPort } from "./ports.ts";

/** Others are judged, this node promises what its guard keeps (Z16), and hands over what its own kubelet left behind. The watch of peers is the caller's to start and stop. */
export function watchOthers(deps: Omit<KubeletWatchDeps, "goneMs"> & ConstructorParameters<typeof PeerWatch>[0]): { peers: PeerWatch; takeover: TakeoverPort } {
  const bounds = boundsOf();
  const peers = new PeerWatch(deps);
  const kubelet = new KubeletWatch({ ...deps, goneMs: bounds.leaseGoneMs });
  return { peers, takeover: { peers: () => peers.peers(), bounds, promiseMs: promiseOf(bounds), unattended: (view) => kubelet.unattended(view) } };
}
