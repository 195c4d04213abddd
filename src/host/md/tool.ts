/** mdadm as we call it: never scanning, never asking udev, with a configuration of our own. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { asMeshStorError, MeshStorError } from "../../base/errors.ts";
import { runOk } from "../exec.ts";
import { readAttribute, ROOTS, writeAttribute } from "../files.ts";
import { Removal } from "./removal.ts";

const CONFIG = "/run/meshstor/mdadm.conf";
/** I1: no bad-block log. `names=yes`: an array at /dev/md/X is called md_X by the kernel. `AUTO -all`: nothing is ever assembled for being found (I3). mdadm.conf(5). */
const CONFIG_TEXT = "CREATE bbl=no names=yes\nAUTO -all\nHOMEHOST <none>\n";

/**
 * mdadm gives an added member a bad-block log unless its own configuration says no, and in manage mode
 * it takes no --config: so the word is put where it always reads. In our image the file is there already.
 */
const DROP_INS = ["/etc/mdadm/mdadm.conf.d", "/etc/mdadm.conf.d"];
const DROP_IN_TEXT = "# MeshStor: members never have a bad-block log.\nCREATE bbl=no\n";

let prepared: Promise<void> | null = null;

/** Configuration files, written once by every process. */
function ensureConfig(): Promise<void> {
  prepared ??= (async () => {
    await place(CONFIG, CONFIG_TEXT);
    for (const dir of DROP_INS) await place(`${dir}/meshstor.conf`, DROP_IN_TEXT);
  })();
  prepared.catch(() => (prepared = null));
  return prepared;
}

/** Puts a small file in place whole, if it is not there already (a read-only image may carry it). */
async function place(path: string, text: string): Promise<void> {
  if ((await readFile(path, "utf8").catch(() => "")) === text) return;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  } catch (error) {
    throw new MeshStorError("HostUnsuitable", `${path} cannot be written: ${asMeshStorError(error).message}`, { cause: error });
  }
}

const parameter = (): string => `${ROOTS.sys}/module/md_mod/parameters/legacy_async_del_gendisk`;
/** The one of this host. */
const removal = new Removal({ read: () => readAttribute(parameter()), write: (value) => writeAttribute(parameter(), value) });

/** Options common to all calls. MDADM_NO_UDEV: nodes come from devtmpfs; udev may not run where we do (mdadm(8)). */
interface MdadmOptions {
  deadlineMs?: number;
  lane?: string;
  releases?: boolean;
}

/** Runs mdadm; throws CommandFailed or CommandTimedOut with what it said. */
export async function mdadm(args: readonly string[], options: MdadmOptions = {}): Promise<string> {
  const { deadlineMs = 30_000, ...rest } = options;
  await ensureConfig();
  const starts = args[0] === "--create" || args[0] === "--assemble";
  // The other modes refuse the option.
  const run = () => runOk(["mdadm", ...args, ...(starts ? [`--config=${CONFIG}`] : [])], { deadlineMs, env: { MDADM_NO_UDEV: "1" }, ...rest });
  if (args[0] === "--stop") return removal.run("stops", run);
  // Nothing else is asked of the kernel where a loss is released.
  return starts ? removal.run("starts", run) : run();
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
