/**
 * The target's configfs tree: where things are and what is in them. Only what carries our names is
 * ever changed; other people's subsystems, ports and hosts are read to keep out of their way (I9).
 * Layout: drivers/nvme/target/configfs.c.
 */
import { parseExportNQN } from "../../api/names.ts";
import { exists, listDir, readAttribute, readLink, ROOTS } from "../files.ts";

export const nvmetRoot = (): string => `${ROOTS.configfs}/nvmet`;
export const subsystemDir = (nqn: string): string => `${nvmetRoot()}/subsystems/${nqn}`;
export const namespaceDir = (nqn: string): string => `${subsystemDir(nqn)}/namespaces/1`;
export const portDir = (port: string): string => `${nvmetRoot()}/ports/${port}`;
export const hostDir = (hostNQN: string): string => `${nvmetRoot()}/hosts/${hostNQN}`;

/** Our ports have numbers of this range, by which they are told from others. */
export const FIRST_PORT = 20_250;
export const LAST_PORT = 20_499;

export function isOurPort(port: string): boolean {
  const number = Number(port);
  return number >= FIRST_PORT && number <= LAST_PORT;
}

/** NQNs of our exports. */
export async function ourSubsystems(): Promise<string[]> {
  return (await listDir(`${nvmetRoot()}/subsystems`)).filter((nqn) => parseExportNQN(nqn) !== null);
}

/** Names of the ports that a subsystem is linked to. */
export async function portsOf(nqn: string): Promise<string[]> {
  const ports = await listDir(`${nvmetRoot()}/ports`);
  const linked = await Promise.all(ports.map((port) => readLink(`${portDir(port)}/subsystems/${nqn}`)));
  return ports.filter((_, index) => linked[index] !== null);
}

/** Controllers that the kernel has for a subsystem; null if it does not say (no debugfs, or before Linux 6.11). */
export async function controllersOf(nqn: string): Promise<string[] | null> {
  const at = `${ROOTS.debugfs}/nvmet/${nqn}`;
  if (!(await exists(at))) return null;
  return (await listDir(at)).filter((name) => name.startsWith("ctrl"));
}

/** Every namespace that the target has, ours and others': which device it is on and whether it is enabled. */
export async function allNamespaces(): Promise<{ nqn: string; devicePath: string; enabled: boolean }[]> {
  const root = `${nvmetRoot()}/subsystems`;
  const found: { nqn: string; devicePath: string; enabled: boolean }[] = [];
  for (const nqn of await listDir(root)) {
    for (const id of await listDir(`${root}/${nqn}/namespaces`)) {
      const [devicePath, enabled] = await Promise.all([readAttribute(`${root}/${nqn}/namespaces/${id}/device_path`), readAttribute(`${root}/${nqn}/namespaces/${id}/enable`)]);
      if (devicePath !== null) found.push({ nqn, devicePath: devicePath === "(null)" ? "" : devicePath, enabled: enabled === "1" });
    }
  }
  return found;
}
