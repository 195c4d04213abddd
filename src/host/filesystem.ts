/** Formats a volume with the filesystem that it was asked for (I6). */
import type { HostAction } from "../core/action.ts";
import { MeshStorError } from "../base/errors.ts";
import { dmByName } from "./block.ts";
import { makeExt4 } from "./ext4/make.ts";
import { makeXfs } from "./xfs/make.ts";

export async function makeFilesystem(action: Extract<HostAction, { kind: "MakeFilesystem" }>): Promise<void> {
  const device = await dmByName(action.device);
  if (device === null) throw new MeshStorError("CommandFailed", `volume device ${action.device} is not there`);
  return action.fsType === "ext4" ? makeExt4(device, action) : makeXfs(device, action);
}
