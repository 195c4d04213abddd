/** First making of a mirror: identical blank members, no initial sync, no bad-block log. */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { LABEL_AREA, MD_DATA_OFFSET } from "../../base/layout.ts";
import { node, sizeOf, windowOf } from "../block.ts";
import { BLOCK, isZero, readDirect, writeDirect } from "../direct-io.ts";
import { assembleOn, setWriteMostly } from "./assemble.ts";
import { clearLogicalBlockSize, readSuperblock } from "./raw.ts";
import { parseSuperblock } from "./superblock.ts";
import { arrayByUUID, arrayDevice, readLogicalBlockSize, setSyncSpeed } from "./sysfs.ts";
import { mdadm, mdadmUUID, newPath } from "./tool.ts";
import { checkArray, checkMember, checkSectors, runningArray } from "./verify.ts";
import { orStop, stopArray } from "./stop.ts";

type CreateMirror = Extract<HostAction, { kind: "CreateMirror" }>;

/**
 * Creates the array on the members' windows, local ones first. Members must be blank, or carry a
 * superblock of this very array from an attempt that was cut short (nothing was written through it
 * yet: the planner formats only after the array is recorded). Throws ForeignContent or Unsafe.
 */
export async function createMirror(action: CreateMirror): Promise<void> {
  const members = [...action.members].sort((a, b) => Number(b.local) - Number(a.local));
  const windows = await Promise.all(members.map(async (m) => ({ ...m, device: await windowOf(m.partitionUUID) })));
  const running = await arrayByUUID(action.arrayUUID);
  const names = windows.map((w) => w.device);
  if (running) {
    await dropLogicalBlockSize(running, action.arrayUUID, names);
    return verify(running, action, windows);
  }
  await checkSectors(names[0]!, names);
  for (const name of names) await assertBlank(name, action.arrayUUID, action.sizeBytes);
  const device = arrayDevice(action.arrayUUID);
  await mdadm(createArguments(device, action, windows), { deadlineMs: 60_000 });
  await orStop(device, async () => {
    await dropLogicalBlockSize(device, action.arrayUUID, names);
    await verify(device, action, windows);
    await setSyncSpeed(device);
  });
}

function createArguments(device: string, action: CreateMirror, windows: { device: string; local: boolean }[]): string[] {
  const local = windows.filter((w) => w.local).map((w) => node(w.device));
  const remote = windows.filter((w) => !w.local).map((w) => node(w.device));
  const vacant = Array.from({ length: action.slots - windows.length }, () => "missing");
  const mark = remote.length > 0 ? ["--write-mostly"] : [];
  return [
    "--create",
    newPath(device),
    "--run",
    "--metadata=1.2",
    "--level=1",
    `--raid-devices=${action.slots}`,
    "--assume-clean",
    "--bitmap=internal",
    `--bitmap-chunk=${action.bitmapChunkBytes / 1024}K`,
    `--data-offset=${MD_DATA_OFFSET / 1024}K`,
    `--size=${action.sizeBytes / 1024}K`,
    "--homehost=any",
    `--name=${action.name}`,
    `--uuid=${mdadmUUID(action.arrayUUID)}`,
    ...local,
    ...mark,
    ...remote,
    ...vacant,
  ];
}

/** I6, I7: only members that read as zeroes, or an unfinished creation of the same array. */
async function assertBlank(window: string, arrayUUID: string, sizeBytes: number): Promise<void> {
  const size = await sizeOf(window);
  if (size < sizeBytes + MD_DATA_OFFSET) throw new MeshStorError("Unsafe", `window ${window} has ${size} bytes, the mirror needs ${sizeBytes + MD_DATA_OFFSET}`);
  const head = await readDirect(node(window), 0, LABEL_AREA);
  if (isZero(head)) return;
  const reading = parseSuperblock(head.subarray(4096, 8192));
  if (reading.ok && reading.superblock.arrayUUID === arrayUUID) return;
  throw new MeshStorError("ForeignContent", `window ${window} is not blank and not of array ${arrayUUID}`);
}

/**
 * E24: the array must assemble on every supported kernel, also on those before 6.19. Later ones give a new array a logical
 * block size and put it into the superblocks when they first write them, not when the array starts. So the kernel is made
 * to write them now: zeroes onto the zeroes of an array through which nothing was ever written (events 0).
 */
async function dropLogicalBlockSize(device: string, arrayUUID: string, windows: readonly string[]): Promise<void> {
  if ((await readLogicalBlockSize(device)) === 0) return;
  const first = await readSuperblock(windows[0]!);
  if (first.ok && first.superblock.events === 0n) await writeDirect(node(device), 0, Buffer.alloc(BLOCK));
  await stopArray(device);
  for (const window of windows) await clearLogicalBlockSize(window);
  await assembleOn(arrayDevice(arrayUUID), arrayUUID, windows);
}

async function verify(device: string, action: CreateMirror, windows: { device: string; local: boolean }[]): Promise<void> {
  const state = await runningArray(device);
  checkArray(
    device,
    state,
    action.arrayUUID,
    windows.map((w) => w.device),
  );
  if (state.raidDisks !== action.slots) throw new MeshStorError("Unsafe", `array ${device} has ${state.raidDisks} slots, wanted ${action.slots}`);
  for (const w of windows) await checkMember(w.device, action.arrayUUID);
  const size = await sizeOf(device);
  if (size !== action.sizeBytes) throw new MeshStorError("Unsafe", `array ${device} has ${size} bytes, wanted ${action.sizeBytes}`);
  await setWriteMostly(device, windows);
}
