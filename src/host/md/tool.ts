/** mdadm as we call it: never scanning, never asking udev, with a configuration of our own. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { runOk } from "../exec.ts";

const CONFIG_DIR = "/run/meshstor";
const CONFIG = `${CONFIG_DIR}/mdadm.conf`;
/** I1: no bad-block log. `AUTO -all`: nothing is ever assembled for being found (I3). mdadm.conf(5). */
const CONFIG_TEXT = "CREATE bbl=no\nAUTO -all\nHOMEHOST <none>\n";

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
  await ensureConfig();
  const { deadlineMs = 30_000, ...rest } = options;
  return runOk(["mdadm", ...args, `--config=${CONFIG}`], { deadlineMs, env: { MDADM_NO_UDEV: "1" }, ...rest });
}

/** A UUID as mdadm writes it: four groups of eight hex digits, in the order of the bytes. */
export function mdadmUUID(uuid: string): string {
  const hex = uuid.replaceAll("-", "").toLowerCase();
  return [0, 8, 16, 24].map((at) => hex.slice(at, at + 8)).join(":");
}
