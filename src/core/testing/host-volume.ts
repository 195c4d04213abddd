/** Host actions on the volume above its mirrors, in the model. */
import type { HostAction } from "../action.ts";
import { isBlock } from "../staged.ts";
import { PUBLISHED } from "./builders.ts";
import { arrayOf } from "./host-mirror.ts";
import { flush, submit } from "./md.ts";
import { specOf } from "./kind.ts";
import type { NodeState, World } from "./world.ts";
import { hasUsers, hostError, statusOf, violated } from "./world.ts";

type Of<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;
type VolumeKind = "CreateVolumeDevice" | "RemoveVolumeDevice" | "MakeFilesystem" | "MountStage" | "BindDevice" | "UnmountStage" | "MountPublish" | "UnmountPublish";

export function applyVolumeAction(w: World, n: NodeState, action: Of<VolumeKind>): void {
  switch (action.kind) {
    case "CreateVolumeDevice":
      if (!n.volumeDevice)
        n.volumeDevice = { sizeBytes: action.sizeBytes, below: action.mirrors.map((device) => arrayOf(n, device)), suspended: false, failed: false, guard: null };
      return;
    case "RemoveVolumeDevice":
      return removeVolumeDevice(w, n);
    case "MakeFilesystem":
      return makeFilesystem(w, n, action);
    case "MountStage":
      return mountStage(w, n, action.target);
    case "BindDevice":
      return bindDevice(w, n, action.target);
    case "UnmountStage":
      return unmountStage(w, n, action.target);
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

function removeVolumeDevice(w: World, n: NodeState): void {
  if (n.mounts.length > 0) throw hostError("CommandFailed", "the volume device is mounted");
  // The last one who closes a raw device waits for what is under way.
  for (const array of n.volumeDevice && !n.volumeDevice.failed ? n.volumeDevice.below : []) if (!flush(w, array)) throw hostError("CommandFailed", "the volume device is in use");
  n.volumeDevice = null;
}

function mountStage(w: World, n: NodeState, target: string): void {
  if (!n.volumeDevice) throw hostError("CommandFailed", "there is no volume device");
  if (n.volumeDevice.suspended) throw hostError("CommandTimedOut", "the mount waits: the volume is suspended");
  if (!n.mounts.some((m) => m.target === target)) n.mounts.push({ target, published: false });
  w.everMounted = true;
  Object.assign(n, { killed: false, shutDown: false });
}

function bindDevice(w: World, n: NodeState, target: string): void {
  if (!n.volumeDevice) throw hostError("CommandFailed", "there is no volume device");
  const published = target === PUBLISHED;
  if (!n.mounts.some((m) => m.target === target)) n.mounts.push({ target, published });
  w.everMounted = true;
  if (!published) Object.assign(n, { killed: false, shutDown: false });
}

function unmountStage(w: World, n: NodeState, target: string): void {
  // The node of a raw device is unbound whoever has the device open.
  if (!isBlock(specOf(w))) {
    if (hasUsers(n) && !n.podGone && n.mounts.some((m) => m.published)) throw hostError("VolumeInUse", "the volume is in use by a pod");
    if (n.volumeDevice?.suspended) throw hostError("CommandTimedOut", "the unmount waits: the volume is suspended");
    for (const array of n.volumeDevice?.failed ? [] : n.arrays) if (!flush(w, array)) throw hostError("CommandTimedOut", "the unmount waits for writes that are held");
  }
  n.mounts = n.mounts.filter((m) => m.target !== target);
}
