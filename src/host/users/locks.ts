/**
 * Loop devices that are nothing but a lock. Kubelet makes one over the device of every raw block volume that it has mapped
 * for a pod, so that the device cannot go (pkg/volume/util/volumepathhandler, AttachFileDevice). No data goes through it.
 */
import { node } from "../block.ts";
import { runOk } from "../exec.ts";
import { deviceNumbers, listDir, readAttribute, ROOTS } from "../files.ts";
import { numberText } from "./parse.ts";

const DEADLINE_MS = 10_000;

export interface LoopLock {
  /** Kernel name, for example loop3. */
  loop: string;
  /** `major:minor` of the loop device itself. */
  number: string;
  /** What it was made over, as the kernel tells it. */
  path: string;
}

/** A device by kernel name, device-mapper name, and `major:minor`. */
export interface DeviceNames {
  device: string;
  name: string;
  number: string;
}

/** The path is a node of this very device. */
export async function isNodeOf(path: string, { device, name, number }: DeviceNames): Promise<boolean> {
  if ([node(device), `/dev/mapper/${name}`].includes(path)) return true;
  const found = await deviceNumbers(path).catch(() => null);
  return found !== null && found.block && numberText(found.rdev) === number;
}

/** Loop devices whose backing "file" is the node of this very device, by whatever path. */
export async function loopLocksOn(volume: DeviceNames): Promise<LoopLock[]> {
  const loops = (await listDir(`${ROOTS.sys}/block`)).filter((d) => d.startsWith("loop"));
  const found = await Promise.all(loops.map((loop) => lockOf(loop, volume)));
  return found.filter((lock) => lock !== null);
}

async function lockOf(loop: string, volume: DeviceNames): Promise<LoopLock | null> {
  const path = await readAttribute(`${ROOTS.sys}/block/${loop}/loop/backing_file`);
  const number = await readAttribute(`${ROOTS.sys}/block/${loop}/dev`);
  if (path === null || number === null || !path.startsWith("/")) return null;
  return (await isNodeOf(path, volume)) ? { loop, number, path } : null;
}

/** The same for the device whose node is bound at a path. */
export async function detachLocksOver(target: string): Promise<void> {
  const found = await deviceNumbers(target);
  if (found.block) await detachLocks(await loopLocksOn({ device: "", name: "", number: numberText(found.rdev) }));
}

/** Takes the locks off a device whose last user is gone; one that is still open goes when it is closed. */
export async function detachLocks(locks: readonly LoopLock[]): Promise<void> {
  for (const { loop } of locks) await runOk(["losetup", "--detach", node(loop)], { deadlineMs: DEADLINE_MS, lane: loop, releases: true });
}
