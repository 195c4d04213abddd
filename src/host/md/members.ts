/** Members leave, join and change preference in a running array (I1, E21). */
import type { HostAction } from "../../core/action.ts";
import { asMeshStorError, MeshStorError } from "../../base/errors.ts";
import { MD_DATA_OFFSET } from "../../base/layout.ts";
import { assertWindow, node } from "../block.ts";
import { runOk } from "../exec.ts";
import { poll } from "../files.ts";
import { setMemberWriteMostly } from "./assemble.ts";
import { clearResyncStart, letGoOn } from "./resync-start.ts";
import { readMember } from "./sysfs.ts";
import { mdadm } from "./tool.ts";
import { checkMember, checkSectors, runningArray } from "./verify.ts";

type Action<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;

/** Time for requests of a failed member to end, so that it can be removed, in ms. */
const REMOVE_MS = 10_000;

/**
 * SET_DISK_FAULTY by ioctl, which takes no array lock; sysfs `faulty` hangs behind a held member
 * (Z1, E26). Refuses (Unsafe) to fail the last member in sync: MD would mark the array broken.
 */
export async function failMember(action: Action<"FailMember">): Promise<void> {
  const { device, window } = action;
  const member = await readMember(device, window);
  if (member === null || member.flags.includes("faulty")) return;
  await assertWindow(window, action.partitionUUID);
  const others = (await runningArray(device)).members.filter((m) => m.device !== window && m.flags.includes("in_sync") && !m.flags.includes("faulty"));
  if (others.length === 0) throw new MeshStorError("Unsafe", `${window} is the last member in sync of ${device}: it is not failed (Z1)`);
  await mdadm(["--manage", node(device), "--fail", node(window)], { deadlineMs: 10_000, lane: device, releases: true });
  const failed = await poll(5_000, 50, async () => {
    const now = await readMember(device, window);
    return now === null || now.flags.includes("faulty") ? true : null;
  });
  if (!failed) throw new MeshStorError("Unsafe", `${window} is not faulty in ${device} after mdadm --fail`);
}

/** Takes a failed member out; repeated while its last requests end. */
export async function removeMember(action: Action<"RemoveMember">): Promise<void> {
  const { device, window } = action;
  let last: MeshStorError | null = null;
  const gone = await poll(REMOVE_MS, 200, async () => {
    if ((await readMember(device, window)) === null) return true;
    try {
      await mdadm(["--manage", node(device), "--remove", node(window)], { deadlineMs: 10_000, lane: device, releases: true });
    } catch (error) {
      last = asMeshStorError(error);
    }
    return (await readMember(device, window)) === null ? true : null;
  });
  if (gone) return;
  throw last ?? new MeshStorError("CommandFailed", `${window} is still in ${device}`);
}

/**
 * Adds a member to be rebuilt in full: its superblock and bitmap are wiped first, because mdadm --add
 * turns into a re-add where it recognises the member (mdadm(8)), and such a member would be believed
 * (Z18). With `growTo` the array gets a further slot for it (E21). The preference for others is set
 * afterwards: `--write-mostly --add` makes mdadm write the role "faulty" into the new superblock
 * (mdadm, add_to_super1 knows no such state), and a kernel whose bitmap was never clear, as with an
 * array that never had all its members, believes that role (Linux md.c, super_1_validate).
 */
export async function addMember(action: Action<"AddMember">): Promise<void> {
  const { device, window, growTo } = action;
  await assertWindow(window, action.partitionUUID);
  const before = await runningArray(device);
  const there = before.members.some((m) => m.device === window);
  if (!there) {
    await checkSectors(device, [window]);
    // A bitmap re-add that was given up has left its bits (resync-start.ts).
    await clearResyncStart(device);
    await wipeMetadata(window);
    await mdadm(["--manage", node(device), "--add", node(window)], { lane: device });
  }
  if (growTo !== null && (await runningArray(device)).raidDisks < growTo) await mdadm(["--grow", node(device), `--raid-devices=${growTo}`], { lane: device });
  if (there) await letGoOn(device);
  const after = await runningArray(device);
  if (!after.members.some((m) => m.device === window)) throw new MeshStorError("CommandFailed", `${window} is not in ${device} after mdadm --add`);
  if (!after.hasBitmap) throw new MeshStorError("Unsafe", `array ${device} has no write-intent bitmap (I5)`);
  await checkMember(window, before.arrayUUID);
  await setMemberWriteMostly(device, window, !action.local);
}

/** Zeroes the area before MD's data; blkdiscard(8) opens exclusively, so it is refused while any array holds the window (I2). */
async function wipeMetadata(window: string): Promise<void> {
  await runOk(["blkdiscard", "--zeroout", "--offset=0", `--length=${MD_DATA_OFFSET}`, node(window)], { deadlineMs: 30_000, lane: window });
}

/** Takes vacant slots away, after a replaced member left (E21). */
export async function shrinkMirror(action: Action<"ShrinkMirror">): Promise<void> {
  const state = await runningArray(action.device);
  if (state.raidDisks <= action.slots) return;
  await mdadm(["--grow", node(action.device), `--raid-devices=${action.slots}`], { lane: action.device });
  const after = await runningArray(action.device);
  if (after.raidDisks !== action.slots) throw new MeshStorError("CommandFailed", `array ${action.device} has ${after.raidDisks} slots, wanted ${action.slots}`);
  if (!after.hasBitmap) throw new MeshStorError("Unsafe", `array ${action.device} has no write-intent bitmap (I5)`);
}

/** Steers reads away from a member, or back to it. */
export function setWriteMostlyOf(action: Action<"SetWriteMostly">): Promise<void> {
  return setMemberWriteMostly(action.device, action.window, action.writeMostly);
}
