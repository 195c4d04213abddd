/** Bind mounts of a staged volume for pods. Pure; needs only the mount table. */
import type { ErrorCode } from "../base/errors.ts";
import type { Action } from "./action.ts";
import type { Mount } from "./observed.ts";

export interface PublishPlan {
  action: Action | null;
  refusal: { code: ErrorCode; message: string } | null;
}

/** `device`: kernel name of the volume device on this node, null if there is none. */
export function planPublish(
  mounts: readonly Mount[],
  device: string | null,
  request: { volumeID: string; stagingPath: string; targetPath: string; readOnly: boolean; exclusive?: boolean },
): PublishPlan {
  const staged = mounts.find((m) => m.target === request.stagingPath && device !== null && m.device === device);
  if (!staged) return { action: null, refusal: { code: "NotStaged", message: `volume ${request.volumeID} is not staged at ${request.stagingPath}` } };
  const there = mounts.filter((m) => m.target === request.targetPath).at(-1);
  if (!there) {
    // Asked before the first mount only: what kubelet binds from a target (subPath) is a mount of the volume as well.
    const other = mounts.find((m) => m.device === device && m.target !== request.stagingPath);
    if (request.exclusive && other)
      return {
        action: null,
        refusal: { code: "TargetInUse", message: `volume ${request.volumeID} is for one pod at a time (ReadWriteOncePod) and is published at ${other.target}` },
      };
    return { action: { kind: "MountPublish", source: request.stagingPath, target: request.targetPath, readOnly: request.readOnly, why: "published to a pod" }, refusal: null };
  }
  if (there.device !== device)
    return { action: null, refusal: { code: "TargetInUse", message: `target path ${request.targetPath} is used by another mount (${there.device || there.fsType})` } };
  if (there.readOnly !== (request.readOnly || staged.readOnly))
    return {
      action: null,
      refusal: { code: "VolumeIncompatible", message: `volume ${request.volumeID} is published at ${request.targetPath} ${there.readOnly ? "read-only" : "writable"} already` },
    };
  return { action: null, refusal: null };
}

/** The next unmount, or null when nothing is mounted at the target. */
export function planUnpublish(mounts: readonly Mount[], targetPath: string): Action | null {
  return mounts.some((m) => m.target === targetPath) ? { kind: "UnmountPublish", target: targetPath, why: "unpublished" } : null;
}
