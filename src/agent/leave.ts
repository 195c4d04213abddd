/**
 * The end of MeshStor on a host: what a node program leaves behind so that volumes outlive it is taken away, once no volume is
 * there any more. As long as anything of one is, nothing is touched (I9), and the sentence names it.
 */
import { rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DRIVER_NAME } from "../api/names.ts";
import { asMeshStorError, MeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { HostSnapshot } from "../core/observed.ts";
import { socketPath } from "../csi/socket.ts";
import { prepareKernel } from "../host/capabilities.ts";
import { run } from "../host/exec.ts";
import { askGuard } from "../host/guard/client.ts";
import { sweepPorts } from "../host/nvmet/ports.ts";
import { observeHost } from "../host/observe.ts";
import { RULE_FILE } from "../host/udev-rule.ts";
import { holdHostLock } from "./host-lock.ts";

/** Made by the guard (decision 0012); by nobody else. */
const GUARD_GROUP = "/sys/fs/cgroup/meshstor-guard";
/** What a node program wrote for its own tools, until the next boot. */
const FOLDERS = ["/run/meshstor"];

/** What of volumes is still on this host, as parts of a sentence; empty if nothing is. */
export function remainsOf(host: Pick<HostSnapshot, "partitions" | "exports" | "connections" | "windows" | "mirrors" | "volumeDevices">): string[] {
  const parts: [string, readonly string[]][] = [
    ["partition", host.partitions.map((p) => `${p.uuid} on ${p.device}`)],
    ["export", host.exports.map((e) => e.nqn)],
    ["connection", host.connections.map((c) => c.nqn)],
    ["window", host.windows.map((w) => w.name)],
    ["mirror", host.mirrors.map((m) => m.device)],
    ["volume", host.volumeDevices.map((v) => v.name)],
  ];
  return parts
    .filter(([, names]) => names.length > 0)
    .map(([what, names]) => `${names.length} ${what}${names.length > 1 ? "s" : ""} (${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""})`);
}

export interface LeaveOptions {
  /** Where the node program served CSI; its folder is ours. */
  endpoint: string;
  /** The socket in kubelet's plugins_registry, which a killed program leaves behind. */
  registration?: string | undefined;
  log: Logger;
}

/** @throws MeshStorError VolumeInUse with what is left; HostUnsuitable while a node program runs here */
export async function leaveHost({ endpoint, registration, log }: LeaveOptions): Promise<void> {
  await holdHostLock(log);
  // Without configfs the exports would not be seen.
  await prepareKernel();
  const left = remainsOf(await observeHost());
  const guarded = await askGuard("list");
  if (guarded !== null && guarded.length > 0) left.push("a guard that watches a volume");
  if (left.length > 0) throw new MeshStorError("VolumeInUse", `this node still holds ${left.join(", ")}: nothing was removed; delete the volumes, or empty the node first`);
  if (guarded !== null) await askGuard("quit").catch(() => null); // It hangs up instead of an answer.
  await sweepPorts();
  await rm(`/run/udev/rules.d/${RULE_FILE}`, { force: true });
  await run(["udevadm", "control", "--reload"], { deadlineMs: 10_000 }).catch(() => null);
  for (const folder of FOLDERS) await rm(folder, { recursive: true, force: true });
  const socket = socketPath(endpoint);
  for (const path of [socket, ...(registration === undefined ? [] : [socketPath(registration)])]) await rm(path, { force: true });
  // Kubelet's own beside ours, for volumes that it staged; folders that somebody else put something into stay.
  for (const folder of [dirname(socket), join(dirname(dirname(socket)), "kubernetes.io/csi", DRIVER_NAME), GUARD_GROUP]) {
    await rmdir(folder).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") log.warn("a folder stays", { folder, error: asMeshStorError(error).message });
    });
  }
  log.info("nothing of MeshStor is left on this host but kernel modules that were loaded");
}
