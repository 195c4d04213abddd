/** Assembles exactly the members that are named, never by scanning, never by force (I3). */
import type { HostAction } from "../../core/action.ts";
import { node, windowOf } from "../block.ts";
import { orStop } from "./stop.ts";
import { arrayByUUID, arrayDevice, readMember, setSyncSpeed, writeMd } from "./sysfs.ts";
import { mdadm, mdadmUUID, newPath } from "./tool.ts";
import { checkArray, checkMember, runningArray } from "./verify.ts";

type AssembleMirror = Extract<HostAction, { kind: "AssembleMirror" }>;

/** Starts the mirror with exactly these members; anything else is stopped again and thrown as Unsafe. */
export async function assembleMirror(action: AssembleMirror): Promise<void> {
  const windows = await Promise.all(action.members.map(async (m) => ({ ...m, device: await windowOf(m.partitionUUID) })));
  const names = windows.map((w) => w.device);
  const running = await arrayByUUID(action.arrayUUID);
  if (running) {
    checkArray(running, await runningArray(running), action.arrayUUID, names);
    return setWriteMostly(running, windows);
  }
  // I1: what a superblock allows is looked at before the array starts, not after its first write.
  for (const name of names) await checkMember(name, action.arrayUUID);
  const device = arrayDevice(action.arrayUUID);
  await orStop(device, async () => {
    await assembleOn(device, action.arrayUUID, names);
    checkArray(device, await runningArray(device), action.arrayUUID, names);
    await setWriteMostly(device, windows);
    await setSyncSpeed(device);
  });
}

/** `mdadm --assemble --run` of the named windows; makes a read-auto array writable. */
export async function assembleOn(device: string, arrayUUID: string, windows: readonly string[]): Promise<void> {
  await mdadm(["--assemble", newPath(device), "--run", `--uuid=${mdadmUUID(arrayUUID)}`, ...windows.map(node)]);
  const state = await runningArray(device);
  if (state.arrayState === "read-auto" || state.arrayState === "readonly") await mdadm(["--readwrite", node(device)]);
}

/** Remote members are write-mostly, so that reads go to the local one (E9); local ones never are. */
export async function setWriteMostly(array: string, windows: readonly { device: string; local: boolean }[]): Promise<void> {
  for (const w of windows) await setMemberWriteMostly(array, w.device, !w.local);
}

/** Sets or clears the flag of one member if it differs. */
export async function setMemberWriteMostly(array: string, window: string, wanted: boolean): Promise<void> {
  const member = await readMember(array, window);
  if (member === null || member.flags.includes("write_mostly") === wanted) return;
  await writeMd(array, `dev-${window}/state`, wanted ? "writemostly" : "-writemostly");
}
