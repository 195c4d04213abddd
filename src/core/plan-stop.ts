/** From a mounted volume to nothing: unmount, volume device, arrays, windows, connections, record (I8). Pure. */
import type { Action } from "./action.ts";
import { isStuck } from "./look.ts";
import { hasBegun, isFenced, isOverdue, mustHandOver, planForce, waitForForce } from "./plan-fence.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { act, NOTHING, refusePlan } from "./plan-types.ts";
import { stagedTarget } from "./staged.ts";
import type { VolumeView } from "./view.ts";
import { isLost, runsInEpoch } from "./view.ts";

export function planStop(view: VolumeView, input: PlanInput): Plan {
  if (isFenced(view)) return planForce(view, input) ?? takeDown(view, true) ?? release(view, input);
  if (mustHandOver(view, input) || (view.mine && (hasBegun(view, input) || (input.intent.kind === "stage" && view.mounts.length === 0)))) return planGentle(view, input);
  const stagingPath = input.intent.kind === "unstage" ? stagedTarget(view.volume.spec, input.intent.stagingPath) : null;
  const elsewhere = view.mounts.filter((m) => m.target !== stagingPath);
  if (elsewhere.length > 0) {
    return refusePlan("VolumeInUse", `volume ${view.name} is still mounted at ${elsewhere.map((m) => m.target).join(", ")}`);
  }
  return planGentle(view, input);
}

/** Unmounted and taken down in order; what is held or suspended for too long is stopped by force (I8, I4). */
function planGentle(view: VolumeView, input: PlanInput): Plan {
  if (view.mine && isOverdue(view, input)) return planForce(view, input) ?? takeDown(view, true) ?? release(view, input);
  if (view.mine && isStuck(view)) return waitForForce(view, input);
  return takeDown(view) ?? release(view, input);
}

/** The next step down; null when nothing of the volume is left on this node. What was forced is never clean (Z15). */
function takeDown(view: VolumeView, forced = false): Plan | null {
  if (view.mounts.length > 0) return act(...view.mounts.map((m): Action => ({ kind: "UnmountStage", target: m.target, why: "unstaged" })));
  if (view.device) return act({ kind: "RemoveVolumeDevice", name: view.device.name, why: "nothing is mounted from it" });
  const arrays = view.mirrors.filter((m) => m.array !== null);
  if (arrays.length > 0)
    return act(...arrays.map((m): Action => ({ kind: "StopMirror", device: m.array!.device, clean: !forced && view.mine && isClean(view), why: "the volume stops on this node" })));
  const windows = view.members.filter((m) => m.window !== null);
  if (windows.length > 0) return act(...windows.map((m): Action => ({ kind: "CloseWindow", partitionUUID: m.uuid, why: "its array is stopped" })));
  const connections = view.members.flatMap((m) => m.connections);
  if (connections.length > 0) return act(...connections.map((c): Action => ({ kind: "Disconnect", controller: c.controller, nqn: c.nqn, why: "its array is stopped" })));
  return null;
}

/** Z15: every mirror runs in this epoch, and every member of its R is in its array, in sync, and its path is live. */
function isClean(view: VolumeView): boolean {
  if (!view.mirrors.every((m) => runsInEpoch(view, m))) return false;
  return view.members.filter((m) => m.recorded).every((m) => m.inArray !== null && m.inArray.flags.includes("in_sync") && !isLost(m));
}

/** Z15: no connection of R was given up since; one that died while its array stopped may have missed the last superblock. */
function isUnbroken(view: VolumeView): boolean {
  return view.members.every((m) => {
    const e = m.record.export;
    return !m.recorded || (m.local ? m.partition !== null : e?.epoch === view.epoch && e.attach > (m.record.detachedAttach ?? 0));
  });
}

function release(view: VolumeView, input: PlanInput): Plan {
  const { owner } = view.status;
  if (view.mine) return act({ kind: "RecordRelease", clean: input.session.stopClean === true && isUnbroken(view), why: "everything of the volume is gone from this node (I8)" });
  if (view.status.former?.some((f) => f.nodeUID === input.me.nodeUID))
    return act({
      kind: "RecordTornDown",
      nodeUID: input.me.nodeUID,
      judged: null,
      why: "nothing of the epochs that this node owned is left on it: nobody has to wait for it (I10)",
    });
  if (owner?.nodeUID === input.me.nodeUID) return act({ kind: "RecordRelease", clean: false, why: "this node ran the volume in an earlier boot, and nothing of it is left (I8)" });
  return { ...NOTHING, done: true };
}
