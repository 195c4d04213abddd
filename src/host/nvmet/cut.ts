/**
 * Withdraws an export so that nothing of its epoch can reach the drive any more (I2, Z11):
 *
 *   allowed host off → off every port → no controller left, proven → namespace disabled, which
 *   returns when its requests are done → namespace removed → subsystem removed.
 *
 * A trap in drivers/nvme/target/core.c: nvmet_ns_disable() clears `enabled` *before* it waits for the
 * requests, so `enable` reads 0, and a second write of 0 returns at once, while the first still
 * drains. What proves the drain is the removal of the namespace's directory: configfs lets rmdir pass
 * only when no write to its attributes is under way (fs/configfs: frag_sem).
 */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { diskOf } from "../block.ts";
import { runOk } from "../exec.ts";
import { exists, listDir, makeLink, poll, readAttribute, removeDir, removeLink } from "../files.ts";
import { serially } from "../serial.ts";
import { stranded } from "../stranded.ts";
import { unlinkFromPort, sweepPorts } from "./ports.ts";
import { controllersOf, hostDir, namespaceDir, portDir, portsOf, subsystemDir } from "./tree.ts";

/** Time for controllers to go after the unlink, in ms: their sockets are shut down, requests in flight end. */
const CONTROLLERS_MS = 5_000;
/** Time for a connect that raced the unlink to become visible, where the kernel shows no controllers, in ms. */
const RACE_MS = 500;
/** Time for the namespace's requests to end, in ms; a drive that hangs longer leaves the child behind. */
const DRAIN_MS = 30_000;

/** Withdraws the export; gone already is success. Throws CommandTimedOut while it is not proven drained. */
export function cutExport(action: Extract<HostAction, { kind: "CutExport" }>): Promise<void> {
  return serially(`export:${action.nqn}`, () => cut(action.nqn));
}

async function cut(nqn: string): Promise<void> {
  if (await exists(subsystemDir(nqn))) {
    const hosts = await listDir(`${subsystemDir(nqn)}/allowed_hosts`);
    for (const host of hosts) await removeLink(`${subsystemDir(nqn)}/allowed_hosts/${host}`);
    await removeControllers(nqn);
    await drain(nqn);
    await removeDir(subsystemDir(nqn), 10_000);
    await sweepHosts(hosts);
  }
  await sweepPorts();
}

/** Off every port, and proof that no controller is left: also not one whose connect raced the unlink (Z11). */
async function removeControllers(nqn: string): Promise<void> {
  const ports = await portsOf(nqn);
  const shown = (await controllersOf(nqn)) !== null;
  if (!shown) await relink(nqn, ports);
  for (const port of ports) await unlinkFromPort(nqn, port);
  if (!shown) return;
  const none = await poll(CONTROLLERS_MS, 50, async () => (((await controllersOf(nqn)) ?? []).length === 0 ? true : null));
  if (none) return;
  throw new MeshStorError("CommandTimedOut", `controllers ${((await controllersOf(nqn)) ?? []).join(", ")} of ${nqn} are still there after the export left its ports`);
}

/**
 * Without debugfs: unlink, wait, link and unlink again. The host is no longer allowed, so no new
 * controller can come; one that passed that check before is deleted by the second unlink.
 */
async function relink(nqn: string, ports: readonly string[]): Promise<void> {
  for (const port of ports) await removeLink(`${portDir(port)}/subsystems/${nqn}`, 10_000);
  await new Promise((resolve) => setTimeout(resolve, RACE_MS));
  for (const port of ports) await makeLink(subsystemDir(nqn), `${portDir(port)}/subsystems/${nqn}`);
}

/** Disables the namespace in a child, which may hang with the drive, and removes it only after that child has ended. */
async function drain(nqn: string): Promise<void> {
  const at = namespaceDir(nqn);
  if (!(await exists(at))) return;
  const draining = stranded.list().find((s) => s.what.includes(`${at}/enable`));
  if (draining) throw new MeshStorError("CommandTimedOut", `requests of ${nqn} have not left the drive for ${Math.round((performance.now() - draining.sinceMs) / 1000)} s`);
  const lane = await laneOf(at);
  const enabled = await readAttribute(`${at}/enable`);
  if (enabled !== null) {
    const argv = ["dd", `of=${at}/enable`, "status=none", "bs=1", "count=1", "conv=notrunc,nocreat"];
    await runOk(argv, { deadlineMs: DRAIN_MS, stdin: "0", lane, releases: true });
  }
  // Waits for a write of `enable` that an earlier process of this program left behind: this is the proof.
  await runOk(["rmdir", at], { deadlineMs: DRAIN_MS, lane, releases: true });
}

/** The drive below: bounds how many children can hang on it. */
async function laneOf(at: string): Promise<string> {
  const path = (await readAttribute(`${at}/device_path`)) ?? "";
  return path.startsWith("/dev/") ? diskOf(path.slice("/dev/".length)) : at;
}

/** Removes host directories that no subsystem of ours or of others refers to any more. */
async function sweepHosts(hosts: readonly string[]): Promise<void> {
  for (const host of hosts) {
    await serially("nvmet-hosts", () => removeDir(hostDir(host))).catch((error: NodeJS.ErrnoException) => {
      // Still linked from another subsystem: configfs answers EBUSY.
      if (!["EBUSY", "ENOTEMPTY"].includes(error.code ?? "")) throw error;
    });
  }
}
