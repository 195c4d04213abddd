/**
 * Bitmap re-add (I5): the union of the array's and the returning member's own bitmap is set in the
 * running array, read back from a survivor's disk (Z18), and only then the member is taken in. A bare
 * re-add copies only what the array wrote, and leaves what the member wrote alone (E14).
 */
import type { HostAction } from "../../core/action.ts";
import { asMeshStorError, MeshStorError } from "../../base/errors.ts";
import { assertWindow, node } from "../block.ts";
import { missingFrom, setBitsTexts, union } from "./bitmap.ts";
import { setMemberWriteMostly } from "./assemble.ts";
import { readMetadata } from "./raw.ts";
import { clearResyncStart } from "./resync-start.ts";
import { reAddDoubt } from "./readd-rules.ts";
import { writeMd } from "./sysfs.ts";
import { mdadm } from "./tool.ts";
import { checkSectors, runningArray } from "./verify.ts";

type ReAdd = Extract<HostAction, { kind: "ReAddMember" }>;

/** Throws Unsafe on any doubt; the planner then rebuilds the member in full. */
export async function reAddMember(action: ReAdd): Promise<void> {
  const { device, window, survivorWindow } = action;
  await assertWindow(window, action.partitionUUID);
  const array = await runningArray(device);
  if (array.members.some((m) => m.device === window && !m.flags.includes("faulty"))) return;
  const doubt = (what: string) => new MeshStorError("Unsafe", `bitmap re-add of ${window} to ${device}: ${what}`);
  if (array.arrayUUID !== action.arrayUUID) throw doubt(`the array is ${array.arrayUUID}`);
  if (!array.hasBitmap) throw doubt("the array has no bitmap, a member would be believed as it is (Z18)");
  if (!array.members.some((m) => m.device === survivorWindow && m.flags.includes("in_sync") && !m.flags.includes("faulty"))) throw doubt(`${survivorWindow} is not in sync`);
  await checkSectors(device, [window]);

  const [returning, survivor] = [await readMetadata(window), await readMetadata(survivorWindow)];
  const reason = reAddDoubt(action.arrayUUID, returning, survivor);
  if (reason) throw doubt(reason);
  const wanted = union(returning.dirty, survivor.dirty);
  for (const text of setBitsTexts(wanted)) await writeMd(device, "bitmap_set_bits", text);
  const after = await readMetadata(survivorWindow);
  const missing = missingFrom(after.dirty, wanted);
  if (missing.length > 0) throw doubt(`${missing.length} of ${wanted.length} chunks are not set on the survivor's disk (Z18)`);
  await clearResyncStart(device);
  await takeIn(action, doubt);
}

async function takeIn(action: ReAdd, doubt: (what: string) => MeshStorError): Promise<void> {
  const { device, window, local } = action;
  try {
    await mdadm(["--manage", node(device), ...(local ? [] : ["--write-mostly"]), "--re-add", node(window)], { lane: device });
  } catch (error) {
    const failed = asMeshStorError(error);
    // mdadm judged the superblock itself ("--re-add … not possible"): only a full rebuild is left.
    if (failed.code === "CommandFailed") throw doubt(failed.message);
    throw failed;
  }
  const after = await runningArray(device);
  if (!after.members.some((m) => m.device === window)) throw doubt("the member is not in the array after mdadm --re-add");
  await setMemberWriteMostly(device, window, !local);
}
