/**
 * The udev rule that keeps the host's tools off our devices: no probing by udev where it can be
 * avoided, no automatic assembly, no `mdadm -If` when a device goes, no UDisks.
 *
 * One file, early: after the rules that name device-mapper devices on Red Hat (10-dm.rules), before
 * the first that probes (13-dm-disk.rules there, 60-persistent-storage*.rules on Debian) and before
 * 63-md-raid-arrays.rules and 64-md-raid-assembly.rules. Only kernel attributes are matched, which are
 * known at any place in the order. Partitions need no row: they begin with the label area
 * (src/base/layout.ts), so no tool recognises anything on them.
 */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { asMeshStorError, MeshStorError } from "../base/errors.ts";
import { dmByName, numberOf } from "./block.ts";
import { run, runOk } from "./exec.ts";
import { exists, poll, readText } from "./files.ts";
import { serially } from "./serial.ts";

export const RULE_FILE = "11-meshstor.rules";
const RUN_DIR = "/run/udev/rules.d";
const PROBE = "meshstor-probe";

/**
 * ANACONDA: 64-md-raid-assembly.rules leaves the event alone, its removal part included. The DM flags:
 * dm rules neither probe the device nor let others do so; 55-dm.rules keeps them in udev's database.
 * SYSTEMD_READY=0 only for what is below a volume: systemd unmounts what is mounted from a device that
 * it holds for not ready. The names of our MD devices are those of md/sysfs.ts.
 */
export const RULE_TEXT = `# MeshStor: its members, imports, mirrors and volumes belong to the node program alone.
# Written by the node program at its start; changes are overwritten.
SUBSYSTEM!="block", GOTO="meshstor_end"
ACTION=="remove", ENV{MESHSTOR}=="volume", GOTO="meshstor_volume"
ACTION=="remove", ENV{MESHSTOR}=="?*", GOTO="meshstor_below"
KERNEL=="dm-*", ATTR{dm/uuid}=="MESHSTOR-VOLUME-*", GOTO="meshstor_volume"
KERNEL=="dm-*", ATTR{dm/uuid}=="MESHSTOR-*", GOTO="meshstor_below"
KERNEL=="nvme*", ATTRS{subsysnqn}=="nqn.2025-12.io.meshstor:*", GOTO="meshstor_below"
KERNEL=="md_ms*", GOTO="meshstor_below"
GOTO="meshstor_end"

LABEL="meshstor_volume"
ENV{MESHSTOR}="volume"
GOTO="meshstor_both"

LABEL="meshstor_below"
ENV{MESHSTOR}="below"
ENV{SYSTEMD_READY}="0"

LABEL="meshstor_both"
ENV{ANACONDA}="1"
ENV{UDISKS_IGNORE}="1"
ENV{DM_UDEV_DISABLE_DISK_RULES_FLAG}="1"
ENV{DM_UDEV_DISABLE_OTHER_RULES_FLAG}="1"
ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}="1"
OPTIONS:="nowatch"

LABEL="meshstor_end"
`;

/** True if the host runs udev; without it nothing acts on devices behind our back. */
export function udevRuns(): Promise<boolean> {
  return exists("/run/udev/control");
}

/** Writes the rule where udev looks for it until the next boot, if it is not there already; udev then reads its rules anew. */
export async function installUdevRule(dir = RUN_DIR): Promise<void> {
  const path = `${dir}/${RULE_FILE}`;
  const present = await readText(path).catch(() => "");
  if (present === RULE_TEXT) return;
  await mkdir(dir, { recursive: true });
  await writeFile(`${path}.new`, RULE_TEXT);
  await rename(`${path}.new`, path);
  // udev notices new files by itself within seconds; asking makes it certain, and may not be possible from a container.
  await run(["udevadm", "control", "--reload"], { deadlineMs: 10_000 }).catch(() => null);
}

/**
 * Proves that the rule is in force: a device-mapper device that answers nothing but errors is made
 * under our prefix, and udev's record of it must carry our mark. Throws HostUnsuitable if it does not.
 */
export function proveUdevRule(): Promise<void> {
  return serially("udev-probe", async () => {
    if (!(await udevRuns())) return;
    await removeProbe();
    await runOk(["dmsetup", "create", PROBE, "--uuid=MESHSTOR-PROBE", "--noudevrules", "--noudevsync", "--table=0 2048 error"], { deadlineMs: 10_000 });
    try {
      const device = await dmByName(PROBE);
      const number = device === null ? null : await numberOf(device);
      const seen = await poll(15_000, 100, async () => ((await readText(`/run/udev/data/b${number}`).catch(() => "")).includes("E:MESHSTOR=below") ? true : null));
      if (!seen)
        throw new MeshStorError(
          "HostUnsuitable",
          `udev on this host does not follow ${RULE_FILE}: its record of ${device ?? PROBE} lacks MESHSTOR=below; host tools could start our arrays`,
        );
    } finally {
      await removeProbe().catch((error: unknown) => void asMeshStorError(error));
    }
  });
}

async function removeProbe(): Promise<void> {
  if ((await dmByName(PROBE)) === null) return;
  await runOk(["dmsetup", "remove", "--retry", "--noudevrules", "--noudevsync", PROBE], { deadlineMs: 10_000 });
}
