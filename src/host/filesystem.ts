/** Formats a volume with the filesystem that it was asked for (I6), and grows it. */
import type { HostAction } from "../core/action.ts";
import { MeshStorError } from "../base/errors.ts";
import { dmByName, sizeOf } from "./block.ts";
import { dmNode } from "./dm/devices.ts";
import { runOk } from "./exec.ts";
import { makeExt4 } from "./ext4/make.ts";
import { makeXfs } from "./xfs/make.ts";

const GROW_DEADLINE_MS = 120_000;

/** Both tools grow to the device's size, and are content where that is reached already (xfs_growfs(8), resize2fs(8)). */
export async function growFilesystem(action: Extract<HostAction, { kind: "GrowFilesystem" }>): Promise<void> {
  const device = await dmByName(action.device);
  if (device === null) throw new MeshStorError("CommandFailed", `volume device ${action.device} is not there`);
  if ((await sizeOf(device)) < action.sizeBytes)
    throw new MeshStorError("Unsafe", `${action.device} has ${await sizeOf(device)} bytes: it has not grown to ${action.sizeBytes} yet`);
  const argv = action.fsType === "ext4" ? ["resize2fs", await dmNode(action.device)] : ["xfs_growfs", "-d", action.target];
  await runOk(argv, { deadlineMs: GROW_DEADLINE_MS, lane: action.target });
}

export async function makeFilesystem(action: Extract<HostAction, { kind: "MakeFilesystem" }>): Promise<void> {
  const device = await dmByName(action.device);
  if (device === null) throw new MeshStorError("CommandFailed", `volume device ${action.device} is not there`);
  return action.fsType === "ext4" ? makeExt4(device, action) : makeXfs(device, action);
}
