/** Our NVMe-oF connections and our exports, for the snapshot. */
import { parseExportNQN } from "../api/names.ts";
import type { Connection, Export } from "../core/observed.ts";
import { present, sysBlock } from "./block.ts";
import { asMeshStorError } from "../base/errors.ts";
import { listDir, readAttribute } from "./files.ts";
import type { Controller } from "./nvme/sysfs.ts";
import { headOf, readControllers } from "./nvme/sysfs.ts";
import { namespaceDir, ourSubsystems, portsOf, subsystemDir } from "./nvmet/tree.ts";

/** Every controller whose subsystem is one of our exports. */
export async function observeConnections(): Promise<Connection[]> {
  const controllers = (await readControllers()).filter((c) => parseExportNQN(c.nqn) !== null);
  return Promise.all(controllers.map(observeConnection));
}

async function observeConnection(controller: Controller): Promise<Connection> {
  const name = parseExportNQN(controller.nqn)!;
  const path = controller.paths[0];
  const device = path !== undefined && (await present(headOf(path))) ? headOf(path) : null;
  const own = { controller: controller.name, nqn: controller.nqn, ...name, state: controller.state, device };
  if (device === null) return { ...own, sizeBytes: 0 };
  return { ...own, sizeBytes: Number((await readAttribute(`${sysBlock(device)}/size`)) ?? 0) * 512 };
}

/** Every nvmet subsystem that carries our name. */
export async function observeExports(): Promise<Export[]> {
  const names = await ourSubsystems();
  for (const nqn of lastSeen.keys()) if (!names.includes(nqn)) lastSeen.delete(nqn);
  return Promise.all(names.map(observeExport));
}

/** Exports as last seen, for attributes that hang behind a drive or a withdrawal (nvmet/cut.ts): what cannot be read has not changed. */
const lastSeen = new Map<string, Export>();

async function observeExport(nqn: string): Promise<Export> {
  const at = namespaceDir(nqn);
  const before = lastSeen.get(nqn);
  const [devicePath, enabled, allowedHosts, ports] = await Promise.all([
    orLast(readAttribute(`${at}/device_path`), before?.devicePath ?? ""),
    orLast(readAttribute(`${at}/enable`), before?.enabled ? "1" : "0"),
    orLast(listDir(`${subsystemDir(nqn)}/allowed_hosts`), before?.allowedHosts ?? []),
    orLast(portsOf(nqn), before?.ports ?? []),
  ]);
  const seen = { nqn, ...parseExportNQN(nqn)!, devicePath: devicePath === null || devicePath === "(null)" ? "" : devicePath, enabled: enabled === "1", allowedHosts, ports };
  lastSeen.set(nqn, seen);
  return seen;
}

async function orLast<T>(reading: Promise<T>, last: T): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (asMeshStorError(error).code === "CommandTimedOut") return last;
    throw error;
  }
}
