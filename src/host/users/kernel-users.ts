/** Users of a volume that are no processes and cannot be killed: loop devices, swap, NFS exports, devices on top, NVMe exports (Z15). */
import { holdersOf } from "../block.ts";
import { runOk } from "../exec.ts";
import { listDir, readAttribute, readText, ROOTS } from "../files.ts";
import { exportsOf } from "../nvmet/use.ts";
import { isNodeOf, type LoopLock, loopLocksOn } from "./locks.ts";
import { isWithin, parseLosetup, parseNfsExports, parseSwaps } from "./parse.ts";

export interface VolumeInUse {
  /** Kernel name (dm-7), device-mapper name, and `major:minor`. */
  device: string;
  name: string;
  number: string;
  /** Where its filesystem is mounted on this node. */
  targets: readonly string[];
}

const DEADLINE_MS = 5_000;

/** A sentence part for each, naming it; empty: none. */
export async function kernelUsers(volume: VolumeInUse): Promise<string[]> {
  const locks = await loopLocksOn(volume);
  const [holders, loops, above, swaps, exports] = await Promise.all([
    holdersOf(volume.device),
    loopsOn(volume, new Set(locks.map((lock) => lock.loop))),
    aboveLocks(locks),
    readText(`${ROOTS.proc}/swaps`).catch(() => ""),
    readNfsExports(),
  ]);
  const swapOn = await Promise.all(parseSwaps(swaps).map(async (path) => ((await isAt(path, volume)) ? `swap on ${path}` : null)));
  return [
    ...holders.map((h) => `device ${h} on top of it`),
    ...loops,
    ...above,
    ...swapOn.filter((s) => s !== null),
    ...exports.filter((path) => volume.targets.some((t) => isWithin(path, t))).map((path) => `the NFS export of ${path}`),
    ...(await exportsOf(volume.device)).map((nqn) => `the NVMe export ${nqn}`),
  ];
}

/** What the kernel has on top of kubelet's lock (locks.ts), which then is none. */
async function aboveLocks(locks: readonly LoopLock[]): Promise<string[]> {
  const holders = await Promise.all(locks.map(async ({ loop }) => (await holdersOf(loop)).map((h) => `device ${h} on top of its loop device ${loop}`)));
  return holders.flat();
}

/** A path below a mount of the volume, or a node of the device itself. */
async function isAt(path: string, volume: VolumeInUse): Promise<boolean> {
  return volume.targets.some((t) => isWithin(path, t)) || (path.startsWith("/dev/") && (await isNodeOf(path, volume)));
}

/** By the path in sysfs, as this program sees it, and by the number of the device that holds the file, which no namespace changes. */
async function loopsOn(volume: VolumeInUse, locks: ReadonlySet<string>): Promise<string[]> {
  const loops = (await listDir(`${ROOTS.sys}/block`)).filter((d) => d.startsWith("loop"));
  const backed = await Promise.all(loops.map(async (loop) => ({ loop, path: await readAttribute(`${ROOTS.sys}/block/${loop}/loop/backing_file`) })));
  const used = backed.filter((b) => b.path !== null && !locks.has(b.loop));
  if (used.length === 0) return [];
  const listed = await runOk(["losetup", "--list", "--noheadings", "--raw", "--output", "NAME,BACK-MAJ:MIN"], { deadlineMs: DEADLINE_MS }).then(parseLosetup, () => []);
  const on = await Promise.all(
    used.map(async ({ loop, path }) => ((await isAt(path!, volume)) || listed.some((l) => l.name === `/dev/${loop}` && l.number === volume.number) ? `${loop} (${path})` : null)),
  );
  return on.filter((s) => s !== null).map((s) => `loop device ${s}`);
}

async function readNfsExports(): Promise<string[]> {
  return parseNfsExports(await readText(`${ROOTS.proc}/fs/nfsd/exports`).catch(() => ""));
}
