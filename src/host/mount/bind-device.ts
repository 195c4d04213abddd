/** A raw block volume's device, bound on a file for kubelet; and nothing of it left behind. */
import { lstat, mkdir, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { dmByName, numberOf } from "../block.ts";
import { dmNode } from "../dm/devices.ts";
import { runOk } from "../exec.ts";
import { nodeNumber } from "../files.ts";

const DEADLINE_MS = 60_000;

/** Bound already is success; another device or mount there is TargetInUse. The node is proven to be this device's before and after (I9). */
export async function bindDevice(action: Extract<HostAction, { kind: "BindDevice" }>): Promise<void> {
  const device = await dmByName(action.device);
  const number = device === null ? null : await numberOf(device);
  if (number === null) throw new MeshStorError("CommandFailed", `volume device ${action.device} is not there`);
  if (await isBound(action.target, number)) return;
  await mkdir(dirname(action.target), { recursive: true });
  await (await open(action.target, "a", 0o640)).close();
  await runOk(["mount", "--bind", await dmNode(action.device), action.target], { deadlineMs: DEADLINE_MS });
  if (!(await isBound(action.target, number))) throw new MeshStorError("CommandFailed", `${action.target} is not device ${action.device} after mount(8) succeeded`);
}

async function isBound(target: string, number: string): Promise<boolean> {
  const found = await lstat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (found === null || (found.isFile() && found.size === 0)) return false;
  if (found.isBlockDevice() && (await nodeNumber(target)) === number) return true;
  throw new MeshStorError("TargetInUse", `${target} is not an empty file: something else is there`);
}

/** Removes the file that a device was bound on, if it is one and nothing is on it any more. */
export async function removeBindFile(target: string): Promise<void> {
  const found = await lstat(target).catch(() => null);
  if (found?.isFile() && found.size === 0) await unlink(target);
}
