/** What happens beside the loop: pods come and go on a node, a person deletes the volume. */
import { planPublish, planUnpublish } from "../plan-publish.ts";
import { put } from "./api.ts";
import { STAGING, VOLUME_NAME, VOLUME_UID } from "./builders.ts";
import { applyAll } from "./host.ts";
import { snapshotOf, VOLUME_DEVICE } from "./host-snapshot.ts";
import type { NodeState, World } from "./world.ts";
import { latest, say } from "./world.ts";

/** Publishing and unpublishing go beside the loop (agent/csi-port.ts). */
export function togglePublish(w: World, n: NodeState): void {
  const v = latest(w);
  if (!n.up || !n.mounts.some((m) => m.target === STAGING)) return;
  const targetPath = "/pod";
  const { mounts } = snapshotOf(n, { name: VOLUME_NAME, uid: VOLUME_UID }, w.nowMs);
  const there = mounts.some((m) => m.target === targetPath);
  const publish = planPublish(mounts, n.volumeDevice ? VOLUME_DEVICE : null, { volumeID: v?.metadata.name ?? "", stagingPath: STAGING, targetPath, readOnly: false });
  const action = there ? planUnpublish(mounts, targetPath) : publish.action;
  if (!action || (action.kind !== "MountPublish" && action.kind !== "UnmountPublish")) return;
  applyAll(w, n, action);
  w.trace.push({ node: n.name, kind: action.kind });
  say(w, `${n.name}: ${action.kind}`);
}

export function deleteVolume(w: World): void {
  const v = latest(w);
  if (!v || v.metadata.deletionTimestamp) return;
  say(w, "volume deleted");
  put(w, { ...v, metadata: { ...v.metadata, deletionTimestamp: "2026-11-20T11:00:00Z" } });
}
