/** Mounts and unmounts, each proven by mountinfo (I8). */
import { mkdir, rmdir } from "node:fs/promises";
import { basename } from "node:path";
import type { HostAction } from "../../core/action.ts";
import { STAGED_DEVICE } from "../../core/staged.ts";
import { MeshStorError } from "../../base/errors.ts";
import { dmByName, numberOf } from "../block.ts";
import { dmNode } from "../dm/devices.ts";
import { failure, run, runOk } from "../exec.ts";
import { readText, ROOTS } from "../files.ts";
import { removeBindFile } from "./bind-device.ts";
import type { MountEntry } from "./mountinfo.ts";
import { parseMountinfo } from "./mountinfo.ts";
import { detachLocksOver } from "../users/locks.ts";
import { usersOf } from "./users.ts";

type Action<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;

const DEADLINE_MS = 60_000;

/** Everything mounted at a target, oldest first. */
async function mountsAt(target: string): Promise<MountEntry[]> {
  return parseMountinfo(await readText(`${ROOTS.proc}/self/mountinfo`)).filter((m) => m.target === target);
}

/** Mounts the volume's filesystem; mounted already from the same device is success, from another one TargetInUse. */
export async function mountStage(action: Action<"MountStage">): Promise<void> {
  const device = await dmByName(action.device);
  const number = device === null ? null : await numberOf(device);
  if (number === null) throw new MeshStorError("CommandFailed", `volume device ${action.device} is not there`);
  if (await mountedFrom(action.target, number)) return;
  await mkdir(action.target, { recursive: true });
  const options = [...action.options, action.readOnly ? "ro" : "rw"].join(",");
  await runOk(["mount", "-t", action.fsType, "-o", options, await dmNode(action.device), action.target], { deadlineMs: DEADLINE_MS, lane: action.device });
  if (!(await mountedFrom(action.target, number))) throw new MeshStorError("CommandFailed", `${action.target} is not mounted after mount(8) succeeded`);
}

async function mountedFrom(target: string, number: string): Promise<boolean> {
  const top = (await mountsAt(target)).at(-1);
  if (top && top.device !== number) throw new MeshStorError("TargetInUse", `${target} is mounted from device ${top.device} (${top.fsType})`);
  return top !== undefined;
}

/** Bind mount for a pod, read-only by a second step as mount(8) demands. */
export async function mountPublish(action: Action<"MountPublish">): Promise<void> {
  const source = (await mountsAt(action.source)).at(-1);
  if (!source) throw new MeshStorError("NotStaged", `nothing is mounted at ${action.source}`);
  if (!(await mountedFrom(action.target, source.device))) {
    await mkdir(action.target, { recursive: true });
    await runOk(["mount", "--bind", action.source, action.target], { deadlineMs: DEADLINE_MS });
  }
  const top = (await mountsAt(action.target)).at(-1);
  if (!top) throw new MeshStorError("CommandFailed", `${action.target} is not mounted after mount(8) succeeded`);
  if (action.readOnly && !top.readOnly) await runOk(["mount", "-o", "remount,bind,ro", action.target], { deadlineMs: DEADLINE_MS });
}

/** The file that a raw device was staged on is ours and goes too; another's (kubelet's own, in a stop by force) stays, empty. */
export async function unmountStage(action: Action<"UnmountStage">): Promise<void> {
  const top = (await mountsAt(action.target)).at(-1);
  // A loop device that is kubelet's lock keeps the node that it was made over busy, whoever of kubelet is left.
  if (top && (top.fsType === "devtmpfs" || top.fsType === "tmpfs")) await detachLocksOver(action.target);
  await unmountAll(action.target);
  if (basename(action.target) === STAGED_DEVICE) await removeBindFile(action.target);
}

/** Unmounts and takes the target directory, or file, away, which the driver made (CSI: NodeUnpublishVolume). */
export async function unmountPublish(action: Action<"UnmountPublish">): Promise<void> {
  await unmountAll(action.target);
  await removeBindFile(action.target);
  await rmdir(action.target).catch((error: NodeJS.ErrnoException) => {
    if (!["ENOENT", "ENOTEMPTY", "ENOTDIR"].includes(error.code ?? "")) throw error;
  });
}

/** Plain umount until nothing is mounted there; busy names its users. Never lazy: success means gone (I8). */
async function unmountAll(target: string): Promise<void> {
  for (;;) {
    const top = (await mountsAt(target)).at(-1);
    if (!top) return;
    const result = await run(["umount", target], { deadlineMs: DEADLINE_MS, lane: target });
    const error = failure(result);
    if (!error) continue;
    if ((await mountsAt(target)).length === 0) return;
    const users = /busy/.test(result.stderr) ? await usersOf(target) : [];
    const by = users.length > 0 ? `; in use by ${users.join(", ")}` : "";
    throw new MeshStorError(/busy/.test(result.stderr) ? "VolumeInUse" : error.code, `${error.message}${by}`);
  }
}
