/** mdadm as we call it: never scanning, never asking udev, with a configuration of our own. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { runOk } from "../exec.ts";

const CONFIG_DIR = "/run/meshstor";
const CONFIG = `${CONFIG_DIR}/mdadm.conf`;
/** I1: no bad-block log. `names=yes`: an array at /dev/md/X is called md_X by the kernel. `AUTO -all`: nothing is ever assembled for being found (I3). mdadm.conf(5). */
const CONFIG_TEXT = "CREATE bbl=no names=yes\nAUTO -all\nHOMEHOST <none>\n";

let written: Promise<void> | null = null;

/** Written once by every process; /run is a tmpfs. */
function ensureConfig(): Promise<void> {
  written ??= (async () => {
    await mkdir(CONFIG_DIR, { recursive: true });
    const temporary = `${CONFIG}.${process.pid}`;
    await writeFile(temporary, CONFIG_TEXT);
    await rename(temporary, CONFIG);
  })();
  written.catch(() => (written = null));
  return written;
}

/** Options common to all calls. MDADM_NO_UDEV: nodes come from devtmpfs; udev may not run where we do (mdadm(8)). */
interface MdadmOptions {
  deadlineMs?: number;
  lane?: string;
  releases?: boolean;
}

/** Runs mdadm; throws CommandFailed or CommandTimedOut with what it said. */
export async function mdadm(args: readonly string[], options: MdadmOptions = {}): Promise<string> {
  const { deadlineMs = 30_000, ...rest } = options;
  // The other modes refuse the option, and read nothing of it.
  const configured = args[0] === "--create" || args[0] === "--assemble";
  if (configured) await ensureConfig();
  return runOk(["mdadm", ...args, ...(configured ? [`--config=${CONFIG}`] : [])], { deadlineMs, env: { MDADM_NO_UDEV: "1" }, ...rest });
}

/** A UUID as mdadm writes it: four groups of eight hex digits, in the order of the bytes. */
export function mdadmUUID(uuid: string): string {
  const hex = uuid.replaceAll("-", "").toLowerCase();
  return [0, 8, 16, 24].map((at) => hex.slice(at, at + 8)).join(":");
}

/** How mdadm wants a new array's device to be named: md_X is made as /dev/md/X (mdadm.conf(5), CREATE names=yes). */
export function newPath(device: string): string {
  return `/dev/md/${device.slice("md_".length)}`;
}
