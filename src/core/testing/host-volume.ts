/** Host actions on the volume above its mirrors, in the model. */
import type { HostAction } from "../action.ts";
import { arrayOf } from "./host-mirror.ts";
import { flush, submit } from "./md.ts";
import type { NodeState, World } from "./world.ts";
import { hasUsers, hostError, statusOf, violated } from "./world.ts";

type Of<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;
type VolumeKind = "CreateVolumeDevice" | "RemoveVolumeDevice" | "MakeFilesystem" | "MountStage" | "UnmountStage" | "MountPublish" | "UnmountPublish";

export function applyVolumeAction(w: World, n: NodeState, action: Of<VolumeKind>): void {
  switch (action.kind) {
    case "CreateVolumeDevice":
      if (!n.volumeDevice) n.volumeDevice = { below: action.mirrors.map((device) => arrayOf(n, device)), suspended: false, guard: null };
      return;
    case "RemoveVolumeDevice":
      if (n.mounts.length > 0) throw hostError("CommandFailed", "the volume device is mounted");
      n.volumeDevice = null;
      return;
    case "MakeFilesystem":
      return makeFilesystem(w, n, action);
    case "MountStage":
      if (!n.volumeDevice) throw hostError("CommandFailed", "there is no volume device");
      if (n.volumeDevice.suspended) throw hostError("CommandTimedOut", "the mount waits: the volume is suspended");
      if (!n.mounts.some((m) => m.target === action.target)) n.mounts.push({ target: action.target, published: false });
      w.everMounted = true;
      Object.assign(n, { killed: false, shutDown: false });
      return;
    case "UnmountStage":
      if (hasUsers(n) && !n.podGone && n.mounts.some((m) => m.published)) throw hostError("VolumeInUse", "the volume is in use by a pod");
      if (n.volumeDevice?.suspended) throw hostError("CommandTimedOut", "the unmount waits: the volume is suspended");
      for (const array of n.arrays) if (!flush(w, array)) throw hostError("CommandTimedOut", "the unmount waits for writes that are held");
      n.mounts = n.mounts.filter((m) => m.target !== action.target);
      return;
    case "MountPublish":
      if (!n.mounts.some((m) => m.target === action.target)) n.mounts.push({ target: action.target, published: true });
      return;
    case "UnmountPublish":
      n.mounts = n.mounts.filter((m) => m.target !== action.target);
  }
}

function makeFilesystem(w: World, n: NodeState, action: Of<"MakeFilesystem">): void {
  if (!n.volumeDevice) throw hostError("CommandFailed", "there is no volume device");
  if (n.volumeDevice.suspended) throw hostError("CommandTimedOut", "mkfs waits: the volume is suspended");
  const { filesystem } = statusOf(w);
  if (w.everMounted || filesystem?.uuid !== action.uuid || filesystem.formattedAt !== undefined) violated("I6", "a volume that is in use is formatted");
  for (const array of n.volumeDevice.below) {
    if (!array.writes.some((x) => x.block === 0)) submit(w, array, 0);
    if (!flush(w, array)) throw hostError("CommandTimedOut", "mkfs waits for writes that are held");
  }
}
