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

/** Loop devices whose backing "file" is the node of this very device, by whatever path. */
export async function loopLocksOn(volume: { device: string; name: string; number: string; targets: readonly string[] }): Promise<LoopLock[]> {
  const loops = (await listDir(`${ROOTS.sys}/block`)).filter((d) => d.startsWith("loop"));
  const found = await Promise.all(loops.map((loop) => lockOf(loop, volume)));
  return found.filter((lock) => lock !== null);
}

async function lockOf(loop: string, volume: { device: string; name: string; number: string; targets: readonly string[] }): Promise<LoopLock | null> {
  const path = await readAttribute(`${ROOTS.sys}/block/${loop}/loop/backing_file`);
  const number = await readAttribute(`${ROOTS.sys}/block/${loop}/dev`);
  if (path === null || number === null || !path.startsWith("/")) return null;
  const named = [node(volume.device), `/dev/mapper/${volume.name}`].includes(path);
  const backing = named ? null : await deviceNumbers(path).catch(() => null);
  const same = named || (backing !== null && backing.block && numberText(backing.rdev) === volume.number);
  return same ? { loop, number, path } : null;
}

/** The same for the device whose node is bound at a path. */
export async function detachLocksOver(target: string): Promise<void> {
  const found = await deviceNumbers(target);
  if (found.block) await detachLocks(await loopLocksOn({ device: "", name: "", number: numberText(found.rdev), targets: [] }));
}

/** Takes the locks off a device whose last user is gone; one that is still open goes when it is closed. */
export async function detachLocks(locks: readonly LoopLock[]): Promise<void> {
  for (const { loop } of locks) await runOk(["losetup", "--detach", node(loop)], { deadlineMs: DEADLINE_MS, lane: loop, releases: true });
}
