/** The local NVMe drives: every namespace that is a block device of this machine and not one of our imports. */
import { parseExportNQN } from "../api/names.ts";
import type { Drive } from "../core/observed.ts";
import { listDir, readAttribute, ROOTS } from "./files.ts";

/** Transports of drives that are part of the machine; `loop` is how the lab's drives arrive. */
const LOCAL_TRANSPORTS = new Set(["pcie", "loop", "apple-nvme"]);

/** All local drives; hidden path devices of native multipath are not among them. */
export async function readDrives(): Promise<Drive[]> {
  const names = (await listDir(`${ROOTS.sys}/block`)).filter((name) => /^nvme\d+n\d+$/.test(name));
  return (await Promise.all(names.map(readDrive))).filter((d) => d !== null);
}

/**
 * One drive; null if it is an import, a remote namespace of somebody else, or gone. `device` leads to
 * the controller, or to the subsystem where native multipath is on: both have these attributes.
 */
async function readDrive(name: string): Promise<Drive | null> {
  const at = `${ROOTS.sys}/block/${name}`;
  const attributes = ["hidden", "device/subsysnqn", "device/serial", "device/model", "nsid", "size", "ro", "queue/logical_block_size", "queue/write_zeroes_max_bytes"];
  const [hidden, nqn, serial, model, nsid, size, ro, sector, writeZeroes] = await Promise.all(attributes.map((a) => readAttribute(`${at}/${a}`)));
  if (hidden === "1" || size === null || Number(size) === 0 || parseExportNQN(nqn ?? "") !== null) return null;
  if (!(await isLocal(at))) return null;
  return {
    id: `${serial}:${nsid ?? 1}`,
    device: name,
    model: model ?? "",
    serial: serial ?? "",
    sizeBytes: Number(size) * 512,
    sectorSize: Number(sector),
    readOnly: ro === "1",
    writeZeroes: Number(writeZeroes ?? 0) > 0,
  };
}

/** A controller has a transport itself; a subsystem's controllers are links in its directory. */
async function isLocal(at: string): Promise<boolean> {
  const own = await readAttribute(`${at}/device/transport`);
  if (own !== null) return LOCAL_TRANSPORTS.has(own);
  const controllers = (await listDir(`${at}/device`)).filter((e) => /^nvme\d+$/.test(e));
  const transports = await Promise.all(controllers.map((c) => readAttribute(`${at}/device/${c}/transport`)));
  return transports.some((t) => t !== null && LOCAL_TRANSPORTS.has(t));
}
