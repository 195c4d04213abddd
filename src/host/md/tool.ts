/** mdadm as we call it: never scanning, never asking udev, with a configuration of our own. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { asMeshStorError, MeshStorError } from "../../base/errors.ts";
import { runOk } from "../exec.ts";
import { readAttribute, ROOTS, writeAttribute } from "../files.ts";
import { serially } from "../serial.ts";
import { OneKind } from "./one-kind.ts";

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

/**
 * How newer kernels take a stopped array's device away (6.12 knows no such choice). The old way, Y, a named array's stays
 * for ever (seen on 7.2), and the next time mdadm gives the array a number, which no udev rule of ours knows; the new way,
 * N, mdadm before 4.5 cannot assemble. So: N to stop, Y to make or assemble; nothing else depends on it. The parameter is the
 * whole host's, and volumes work side by side: stops and starts never at once.
 */
const ways = new OneKind<"stops" | "starts">();
let stopping = 0;

/**
 * Runs `work` with the parameter as it has to be, and leaves it as the kernel has it by default; on a kernel without it at once.
 * Whoever sets it looks at how many stop by then, one after the other: a stop that begins while the last one ends gets its N.
 */
async function withRemoval<T>(way: "stops" | "starts", work: () => Promise<T>): Promise<T> {
  const parameter = `${ROOTS.sys}/module/md_mod/parameters/legacy_async_del_gendisk`;
  if ((await readAttribute(parameter)) === null) return work();
  const settle = () =>
    serially("md removal", async () => {
      const wanted = stopping > 0 ? "N" : "Y";
      if ((await readAttribute(parameter)) !== wanted) await writeAttribute(parameter, wanted);
    });
  if (way === "starts") return ways.run(way, () => settle().then(work));
  return ways.run(way, async () => {
    stopping += 1;
    try {
      await settle();
      return await work();
    } finally {
      stopping -= 1;
      await settle();
    }
  });
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
  await ensureConfig();
  const starts = args[0] === "--create" || args[0] === "--assemble";
  // The other modes refuse the option.
  const run = () => runOk(["mdadm", ...args, ...(starts ? [`--config=${CONFIG}`] : [])], { deadlineMs, env: { MDADM_NO_UDEV: "1" }, ...rest });
  if (args[0] === "--stop") return withRemoval("stops", run);
  // Nothing else is asked of the kernel where a loss is released.
  return starts ? withRemoval("starts", run) : run();
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
