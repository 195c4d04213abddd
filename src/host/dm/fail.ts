/** The end of a volume device whose users must reach nothing any more (I4): a table of dm-error in the place of its own. */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { dmByName, sizeOf, slavesOf, sysBlock } from "../block.ts";
import { runOk } from "../exec.ts";
import { poll, readAttribute } from "../files.ts";
import { errorTable } from "./table.ts";

const DEADLINE_MS = 15_000;
/** Time for requests under way; those that were held have been ended before. */
const DRAIN_MS = 10_000;

/**
 * The device must be suspended: only so no request slips through between the two tables. Its suspend returns when nothing is
 * under way any more; it is waited for, never cut short (a suspend that is killed lets reads through, Z14).
 */
export async function failVolume(action: Extract<HostAction, { kind: "FailVolume" }>): Promise<void> {
  const device = await dmByName(action.name);
  if (device === null) return;
  const isSuspended = async () => (await readAttribute(`${sysBlock(device)}/dm/suspended`)) === "1";
  if ((await isFailed(device)) && !(await isSuspended())) return;
  if (!(await poll(DRAIN_MS, 50, async () => ((await isSuspended()) ? true : null))))
    throw new MeshStorError("CommandTimedOut", `requests of ${action.name} are still under way: it cannot be stopped yet`);
  await runOk(["dmsetup", "load", action.name, `--table=${errorTable(await sizeOf(device))}`], { deadlineMs: DEADLINE_MS, lane: action.name, releases: true });
  await runOk(["dmsetup", "resume", "--noudevsync", action.name], { deadlineMs: DEADLINE_MS, lane: action.name, releases: true });
  if (!(await isFailed(device))) throw new MeshStorError("Unsafe", `${action.name} still has its table after it was replaced`);
}

export async function isFailed(device: string): Promise<boolean> {
  return failsAll(await slavesOf(device), await sizeOf(device));
}

/** Nothing is below a device whose table is dm-error; one without any table has no size. Pure. */
export function failsAll(below: readonly string[], sizeBytes: number): boolean {
  return below.length === 0 && sizeBytes > 0;
}
