/** The directory on the host that a guest reads as /lab/host: boot scripts, its settings and the exec daemon. */
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { addressesOf, HOST_ADDRESSES, PREFIX } from "../net/addresses.ts";
import { driveLine, journalled, type Drive } from "./drives.ts";

/** Where the exec daemon listens, on the guest's management address. */
export const EXEC_PORT = 700;

const BOOT = fileURLToPath(new URL("./boot", import.meta.url));
const EXECD = fileURLToPath(new URL("./execd.ts", import.meta.url));

/** What a guest must know about itself and the others. */
export interface GuestSettings {
  readonly labId: string;
  readonly name: string;
  /** 1, 2, ...: decides its addresses. */
  readonly index: number;
  /** Names of all guests in the order of their indexes. */
  readonly names: readonly string[];
  readonly drives: readonly Drive[];
  /** Names of the guest's two network interfaces before they are renamed. */
  readonly interfaces: { readonly storage: string; readonly management: string };
  /** The guest's device that holds drive `index`; journals come behind the drives. */
  readonly backingOf: (index: number) => string;
}

/** Bundles the exec daemon into one file. */
export async function bundleExecd(outfile: string): Promise<void> {
  await build({ entryPoints: [EXECD], outfile, bundle: true, platform: "node", format: "cjs", target: "node24", logLevel: "warning" });
}

/** Fills a guest's host directory; `execd` is the bundle made by {@link bundleExecd}. */
export function writeHostDir(dir: string, settings: GuestSettings, execd: string): void {
  mkdirSync(dir, { recursive: true });
  for (const script of readdirSync(BOOT)) {
    copyFileSync(join(BOOT, script), join(dir, script));
    chmodSync(join(dir, script), 0o755);
  }
  copyFileSync(execd, join(dir, "execd.js"));
  const machineId = createHash("md5").update(`${settings.labId}/${settings.name}`).digest("hex");
  const { management } = addressesOf(settings.index);
  writeFileSync(join(dir, "guest.env"), `LAB_NAME=${settings.name}\nLAB_MACHINE_ID=${machineId}\nLAB_EXEC_PORT=${EXEC_PORT}\nLAB_EXEC_ADDRESS=${management}\n`);
  writeFileSync(join(dir, "network.batch"), networkBatch(settings));
  writeFileSync(join(dir, "hosts"), hosts(settings.names));
  writeFileSync(join(dir, "drives.conf"), drivesConf(settings));
}

function drivesConf({ drives, backingOf }: GuestSettings): string {
  const journals = journalled(drives);
  const journalOf = (drive: Drive) => (drive.volatileCache ? backingOf(drives.length + journals.indexOf(drive)) : undefined);
  return drives.map((drive, index) => `${driveLine(drive, backingOf(index), journalOf(drive))}\n`).join("");
}

function networkBatch(settings: GuestSettings): string {
  const own = addressesOf(settings.index);
  const { storage, management } = settings.interfaces;
  return [
    "link set lo up",
    `link set ${storage} name eth0`,
    `link set ${management} name lab0`,
    `addr add ${own.ipv4}/${PREFIX.ipv4} dev eth0`,
    `addr add ${own.ipv6}/${PREFIX.ipv6} dev eth0 nodad`,
    `addr add ${own.management}/${PREFIX.management} dev lab0`,
    "link set eth0 up",
    "link set lab0 up",
    "",
  ].join("\n");
}

function hosts(names: readonly string[]): string {
  const lines = names.flatMap((name, at) => {
    const { ipv4, ipv6 } = addressesOf(at + 1);
    return [`${ipv4} ${name}`, `${ipv6} ${name}`];
  });
  return [...lines, `${HOST_ADDRESSES.ipv4} lab-host`, ""].join("\n");
}
