/** Windows and volume devices that show more of what is below them, while they are in use. */
import { volumeDeviceUUID, windowName, windowUUID } from "../../api/names.ts";
import { LABEL_AREA } from "../../base/layout.ts";
import { MeshStorError } from "../../base/errors.ts";
import type { HostAction } from "../../core/action.ts";
import { dmByName, sizeOf, sysBlock } from "../block.ts";
import { runOk } from "../exec.ts";
import { assertMayGoOn } from "../fence/suspend.ts";
import { poll, readAttribute, ROOTS, writeAttribute } from "../files.ts";
import { assertMember, numbered } from "./devices.ts";
import { sameTable, volumeTable, windowTable } from "./table.ts";

type Action<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;

const DEADLINE_MS = 15_000;
/** From asking a controller for its namespaces anew to the size that it shows. */
const RESCAN_MS = 10_000;

export async function growWindow(action: Action<"GrowWindow">): Promise<void> {
  const { partitionUUID, below, controller, sizeBytes } = action;
  await assertMember(below, partitionUUID);
  const least = LABEL_AREA + sizeBytes;
  if ((await sizeOf(below)) < least && controller !== null) await writeAttribute(`${ROOTS.sys}/class/nvme/${controller}/rescan_controller`, "1", RESCAN_MS);
  const grown = await poll(controller === null ? 0 : RESCAN_MS, 100, async () => ((await sizeOf(below)) >= least ? true : null));
  if (!grown) throw new MeshStorError("Unsafe", `${below} has ${await sizeOf(below)} bytes, its window needs ${least}`);
  // Nobody suspends a window.
  await exchange(windowName(partitionUUID), windowUUID(partitionUUID, action.epoch), windowTable(await numbered(below), sizeBytes), async () => {});
}

export async function growVolumeDevice(action: Action<"GrowVolumeDevice">): Promise<void> {
  const table = volumeTable(await Promise.all(action.mirrors.map(numbered)), action.sizeBytes);
  await exchange(action.name, volumeDeviceUUID(""), table, () => assertMayGoOn(action.name, action.notAfterMs));
}

/**
 * Only the length of the table changes. The exchange waits for what is under way, without freezing the filesystem; where it
 * is held meanwhile the deadline ends it, the old table goes on, and the new one is taken away. `mayGoOn` is asked last thing.
 */
async function exchange(name: string, uuid: string, table: string, mayGoOn: () => Promise<void>): Promise<void> {
  const device = await dmByName(name);
  if (device === null) throw new MeshStorError("CommandFailed", `device ${name} is not there`);
  const found = (await readAttribute(`${sysBlock(device)}/dm/uuid`)) ?? "";
  if (!found.startsWith(uuid)) throw new MeshStorError("Unsafe", `device ${name} is '${found}', wanted '${uuid}'`);
  const live = await runOk(["dmsetup", "table", name], { deadlineMs: DEADLINE_MS });
  if (sameTable(live, table)) return;
  if (!isLongerOnly(live, table)) throw new MeshStorError("Unsafe", `device ${name} has the table '${live.trim()}', which '${table}' does not continue`);
  await runOk(["dmsetup", "load", name, `--table=${table}`], { deadlineMs: DEADLINE_MS, lane: name });
  try {
    await mayGoOn();
    await runOk(["dmsetup", "resume", "--noflush", "--nolockfs", "--noudevsync", name], { deadlineMs: DEADLINE_MS, lane: name });
  } catch (error) {
    await runOk(["dmsetup", "clear", name], { deadlineMs: DEADLINE_MS, lane: name, releases: true }).catch(() => {});
    throw error;
  }
  const sizeBytes = Number(table.split(" ")[1]) * 512;
  if ((await sizeOf(device)) !== sizeBytes) throw new MeshStorError("Unsafe", `device ${name} has ${await sizeOf(device)} bytes after it was given ${sizeBytes}`);
}

/** Exported for its test: start, target and what is below are the same, and the length is no less. */
export function isLongerOnly(before: string, after: string): boolean {
  const [a, b] = [before, after].map((text) => text.trim().split(/\s+/)) as [string[], string[]];
  return a.length === b.length && a.every((word, i) => (i === 1 ? Number(word) <= Number(b[1]) : word === b[i]));
}
