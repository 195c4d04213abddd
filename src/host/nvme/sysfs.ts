/**
 * NVMe controllers and namespaces as sysfs shows them, with native multipath on (the namespace's
 * head hangs below the subsystem, the path device nvmeXcYnZ is hidden) and off (nvmeYnZ below the
 * controller). drivers/nvme/host/sysfs.c, multipath.c.
 */
import type { ControllerState } from "../../core/observed.ts";
import { listDir, readAttribute, ROOTS } from "../files.ts";

const STATES: readonly ControllerState[] = ["new", "connecting", "live", "resetting", "deleting", "dead"];

/** `deleting (no IO)` is deleting; anything else that is not known is unknown. */
export function parseState(text: string | null): ControllerState {
  const word = (text ?? "").split(" ")[0] ?? "";
  return STATES.find((s) => s === word) ?? "unknown";
}

export interface Controller {
  /** For example nvme4. */
  name: string;
  nqn: string;
  transport: string;
  state: ControllerState;
  /** Path devices (hidden nvmeXcYnZ) or namespaces (nvmeYnZ) of this controller. */
  paths: string[];
}

/** All controllers of this host. */
export async function readControllers(): Promise<Controller[]> {
  const names = await listDir(`${ROOTS.sys}/class/nvme`);
  const found = await Promise.all(names.map(readController));
  return found.filter((c) => c !== null);
}

/** One controller by name; null if it is gone. */
export async function readController(name: string): Promise<Controller | null> {
  const at = `${ROOTS.sys}/class/nvme/${name}`;
  const [nqn, transport, state, entries] = await Promise.all([readAttribute(`${at}/subsysnqn`), readAttribute(`${at}/transport`), readAttribute(`${at}/state`), listDir(at)]);
  if (nqn === null || state === null) return null;
  const paths = entries.filter((e) => /^nvme\d+(c\d+)?n\d+$/.test(e));
  return { name, nqn, transport: transport ?? "", state: parseState(state), paths };
}

/** Kernel name of the block device that a path device belongs to: nvme2c4n1 → nvme2n1, nvme4n1 → itself. */
export function headOf(path: string): string {
  return path.replace(/^(nvme\d+)c\d+(n\d+)$/, "$1$2");
}
