/** Deletes one controller and waits until it and its namespace are gone (Z9). */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { sysBlock } from "../block.ts";
import { failure, run } from "../exec.ts";
import { inodeOf, poll } from "../files.ts";
import { headOf, readController } from "./sysfs.ts";

/** Tear-down of a live but blackholed controller can take the admin time-out of 60 s (Z9). */
const GONE_MS = 75_000;

/**
 * The controller is named, and its subsystem is looked at again first: names are reused by the kernel.
 * Gone, or another's by now, is success. Throws CommandTimedOut if it is still there after its time.
 */
export async function disconnect(action: Extract<HostAction, { kind: "Disconnect" }>): Promise<void> {
  const found = await readController(action.controller);
  if (found === null || found.nqn !== action.nqn) return;
  // By inode: the names are given to the next connection at once.
  const heads = await Promise.all(found.paths.map(headOf).map(async (name) => ({ name, inode: await inodeOf(sysBlock(name)) })));
  const result = await run(["nvme", "disconnect", `--device=${action.controller}`], { deadlineMs: GONE_MS, lane: action.controller, releases: true });
  const gone = await poll(GONE_MS - result.durationMs, 50, async () => {
    const now = await readController(action.controller);
    if (now !== null && now.nqn === action.nqn) return null;
    const left = await Promise.all(heads.map(async (h) => h.inode !== null && (await inodeOf(sysBlock(h.name))) === h.inode));
    return left.includes(true) ? null : true;
  });
  if (gone) return;
  throw (
    failure(result) ??
    new MeshStorError("CommandTimedOut", `controller ${action.controller} of ${action.nqn} or its namespace ${heads.map((h) => h.name).join(", ")} is still there`)
  );
}
