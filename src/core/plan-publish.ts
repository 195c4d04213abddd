/** Bind mounts of a staged volume for pods. Pure; needs only the mount table. */
import { volumeDeviceName } from "../api/names.ts";
import type { VolumeSpec } from "../api/volume.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { Action } from "./action.ts";
import type { Mount } from "./observed.ts";
import { isBlock, stagedTarget } from "./staged.ts";

export interface PublishPlan {
  action: Action | null;
  refusal: { code: ErrorCode; message: string } | null;
}

export interface PublishRequest {
  volumeID: string;
  stagingPath: string;
  targetPath: string;
  readOnly: boolean;
  exclusive?: boolean;
}

/** `device`: kernel name of the volume device on this node, null if there is none. */
export function planPublish(mounts: readonly Mount[], device: string | null, spec: Pick<VolumeSpec, "volumeMode" | "fsType">, request: PublishRequest): PublishPlan {
  const { volumeID, stagingPath, targetPath, readOnly } = request;
  const source = stagedTarget(spec, stagingPath);
  const staged = mounts.find((m) => m.target === source && device !== null && m.device === device);
  if (!staged) return refuse("NotStaged", `volume ${volumeID} is not staged at ${stagingPath}`);
  const there = mounts.filter((m) => m.target === targetPath).at(-1);
  if (!there) {
    // Asked before the first mount only: what kubelet binds from a target (subPath, a raw device for the pod) is a mount of the volume as well.
    const other = mounts.find((m) => m.device === device && m.target !== source);
    if (request.exclusive && other) return refuse("TargetInUse", `volume ${volumeID} is for one pod at a time (ReadWriteOncePod) and is published at ${other.target}`);
    const why = "published to a pod";
    if (isBlock(spec)) return { action: { kind: "BindDevice", device: volumeDeviceName(volumeID), target: targetPath, why }, refusal: null };
    return { action: { kind: "MountPublish", source, target: targetPath, readOnly, why }, refusal: null };
  }
  if (there.device !== device) return refuse("TargetInUse", `target path ${targetPath} is used by another mount (${there.device || there.fsType})`);
  // A raw device's node is the same however it is bound: kubelet gives the container a right to read, or to read and write.
  if (!isBlock(spec) && there.readOnly !== (readOnly || staged.readOnly))
    return refuse("VolumeIncompatible", `volume ${volumeID} is published at ${targetPath} ${there.readOnly ? "read-only" : "writable"} already`);
  return { action: null, refusal: null };
}

function refuse(code: ErrorCode, message: string): PublishPlan {
  return { action: null, refusal: { code, message } };
}

/** The next unmount, or null when nothing is mounted at the target. */
export function planUnpublish(mounts: readonly Mount[], targetPath: string): Action | null {
  return mounts.some((m) => m.target === targetPath) ? { kind: "UnmountPublish", target: targetPath, why: "unpublished" } : null;
}
