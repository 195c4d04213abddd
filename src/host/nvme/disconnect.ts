/** Deletes one controller and waits until it and its namespace are gone (Z9). */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { present } from "../block.ts";
import { failure, run } from "../exec.ts";
import { poll } from "../files.ts";
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
  const heads = found.paths.map(headOf);
  const result = await run(["nvme", "disconnect", `--device=${action.controller}`], { deadlineMs: GONE_MS, lane: action.controller, releases: true });
  const gone = await poll(GONE_MS - result.durationMs, 50, async () => {
    const now = await readController(action.controller);
    if (now !== null && now.nqn === action.nqn) return null;
    const left = await Promise.all(heads.map(present));
    return left.includes(true) ? null : true;
  });
  if (gone) return;
  throw failure(result) ?? new MeshStorError("CommandTimedOut", `controller ${action.controller} of ${action.nqn} or its namespace ${heads.join(", ")} is still there`);
}
