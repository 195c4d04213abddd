/** Formats a volume once (I6). */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { MiB, roundDown } from "../../base/units.ts";
import { sizeOf } from "../block.ts";
import { isZero, readDirect } from "../direct-io.ts";
import { STRIPE_CHUNK } from "../dm/table.ts";
import { runOk } from "../exec.ts";
import { probe } from "../gpt/identity.ts";
import { readXfs } from "./superblock.ts";

/** Below this a striped filesystem is told its number of groups. */
const SMALL_STRIPED = 1024 * MiB;

type MakeFilesystem = Extract<HostAction, { kind: "MakeFilesystem" }>;

/**
 * mkfs.xfs with the recorded UUID. A complete filesystem of that UUID is success; an unfinished one of
 * that UUID is made again; a blank device is formatted; anything else is refused (ForeignContent).
 */
export async function makeXfs(device: string, action: MakeFilesystem): Promise<void> {
  const state = await stateOf(device, action);
  if (state === "complete") return;
  const sizeBytes = await sizeOf(device);
  await runOk(mkfsArguments({ ...action, sizeBytes }, state === "unfinished", `/dev/${device}`), { deadlineMs: 300_000, lane: device });
  if ((await stateOf(device, action)) !== "complete") throw new MeshStorError("Unsafe", `${action.device} carries no complete XFS of UUID ${action.uuid} after mkfs.xfs`);
}

/**
 * Exported for its test. -K: no discard, the partitions are zeroed; discarded ranges may differ between members (Z1).
 * For 512 MiB on stripes mkfs.xfs chooses eight groups of 64 MiB, then refuses because its log of at least 64 MiB fits into none of them.
 */
export function mkfsArguments(action: { uuid: string; sectorSize: number; stripes: number; sizeBytes: number }, again: boolean, device: string): string[] {
  const groups = action.sizeBytes < SMALL_STRIPED ? ",agcount=4" : "";
  const stripe = action.stripes > 1 ? ["-d", `su=${STRIPE_CHUNK},sw=${action.stripes}${groups}`] : [];
  return ["mkfs.xfs", "-q", "-K", ...(again ? ["-f"] : []), "-m", `crc=1,uuid=${action.uuid}`, "-s", `size=${action.sectorSize}`, ...stripe, device];
}

async function stateOf(device: string, action: MakeFilesystem): Promise<"blank" | "unfinished" | "complete"> {
  const path = `/dev/${device}`;
  const foreign = (what: string) => new MeshStorError("ForeignContent", `${action.device} ${what}; it is not formatted (I6)`);
  const reading = readXfs(await readDirect(path, 0, MiB), action.sectorSize);
  if (reading.kind === "xfs" || reading.kind === "fragment") {
    if (reading.uuid !== action.uuid) throw foreign(`carries an XFS of UUID ${reading.uuid}`);
    return reading.kind === "xfs" && reading.complete ? "complete" : "unfinished";
  }
  const found = await probe(device);
  if (found.signature !== "" || found.tableType !== "") throw foreign(`carries '${found.signature || found.tableType}'`);
  const tail = await readDirect(path, roundDown((await sizeOf(device)) - MiB, 4096), MiB);
  if (reading.kind === "blank" && isZero(tail)) return "blank";
  throw foreign("is not blank");
}
