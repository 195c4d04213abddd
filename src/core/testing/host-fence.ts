/** Host actions of I4 and I10 in the model: guard, suspend, resume, kill, shut down. */
import type { HostAction } from "../action.ts";
import { endsAtDevice } from "../staged.ts";
import { settleWrites } from "./md.ts";
import { specOf } from "./kind.ts";
import type { NodeState, World } from "./world.ts";
import { clockOf, hostError } from "./world.ts";

type Of<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;
type FenceKind = "GuardVolume" | "SuspendVolume" | "ResumeVolume" | "KillUsers" | "ShutdownFilesystem" | "FailVolume";

export function applyFenceAction(w: World, n: NodeState, action: Of<FenceKind>): void {
  if (w.rng.chance(w.trouble)) throw hostError("CommandTimedOut", `${action.kind} does not end`);
  const device = n.volumeDevice;
  switch (action.kind) {
    case "GuardVolume": {
      if (!device) throw hostError("CommandFailed", "there is no volume device");
      const nqns = action.connections.map((c) => c.nqn);
      // The proof that it counts from is told by the node's clock.
      device.guard = nqns.length > 0 ? { nqns, liveAtMs: (action.provenMs - n.clock.offsetMs) / n.clock.rate, graceMs: action.graceMs } : null;
      return;
    }
    case "SuspendVolume":
      if (device) device.suspended = true;
      return;
    case "ResumeVolume":
      if (!device) return;
      if (action.notAfterMs !== null && clockOf(w, n) > action.notAfterMs) throw hostError("Unsafe", "the proof that this node is the owner is too old");
      // Z14: the process that suspends waits above held writes, and was seen not to end when it is killed there.
      if (device.suspended && n.arrays.some((array) => device.below.includes(array) && array.writes.length > 0)) throw hostError("CommandTimedOut", "the suspend does not end");
      device.suspended = false;
      return;
    case "KillUsers":
      n.killed = !w.wrong.immortalUsers;
      for (const write of n.killed ? n.arrays.flatMap((array) => array.writes) : []) write.orphan = true;
      return;
    case "ShutdownFilesystem":
      if (!n.mounts.some((m) => m.target === action.target)) throw hostError("CommandFailed", `${action.target} is not mounted`);
      n.shutDown = !w.wrong.immortalUsers;
      for (const array of n.arrays) settleWrites(w, array);
      return;
    case "FailVolume":
      if (device && !device.failed) failVolume(device);
  }
}

function failVolume(device: NonNullable<NodeState["volumeDevice"]>): void {
  if (!device.suspended || device.below.some((array) => array.writes.length > 0)) throw hostError("CommandTimedOut", "requests are under way");
  Object.assign(device, { failed: true, suspended: false });
}

/** I4: nobody is left who could hear of success: killed and shut down, or there is nothing through which anybody could write. */
export function isReleasedByForce(w: World, n: NodeState): boolean {
  if (endsAtDevice(specOf(w))) {
    const { volumeDevice } = n;
    return volumeDevice === null || volumeDevice.failed || (volumeDevice.suspended && volumeDevice.below.every((array) => array.writes.every((x) => x.orphan)));
  }
  if (n.killed) return n.shutDown || n.mounts.length === 0;
  return n.mounts.length === 0 && n.volumeDevice === null;
}
