/** The network namespace of a lab: two bridges and two taps per guest. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { run } from "../../tools/setup/run.ts";
import { HOST_ADDRESSES, PREFIX, tapsOf } from "./addresses.ts";

/** Name of the storage network's bridge inside the namespace. */
export const STORAGE_BRIDGE = "storage";
const MANAGEMENT_BRIDGE = "manage";

/** The name that `ip netns` knows a lab's namespace by. */
export function namespaceOf(labId: string): string {
  return `meshstor-${labId}`;
}

/** The lab ids of all namespaces on this machine. */
export async function namespacesOnMachine(): Promise<string[]> {
  const out = await run(["ip", "netns", "list"]);
  return out.split("\n").flatMap((line) => /^meshstor-(\S+)/.exec(line)?.[1] ?? []);
}

/** A command line that runs another one inside the namespace, in the same process (its pid is the program's). */
export function inNamespace(labId: string, argv: readonly string[]): string[] {
  return ["nsenter", `--net=/run/netns/${namespaceOf(labId)}`, "--", ...argv];
}

/** Makes namespace, bridges and taps for guests 1..count. */
export async function createNamespace(labId: string, count: number): Promise<void> {
  await run(["ip", "netns", "add", namespaceOf(labId)]);
  const lines = ["link set lo up", ...bridge(STORAGE_BRIDGE), ...bridge(MANAGEMENT_BRIDGE)];
  lines.push(
    `addr add ${HOST_ADDRESSES.ipv4}/${PREFIX.ipv4} dev ${STORAGE_BRIDGE}`,
    `addr add ${HOST_ADDRESSES.ipv6}/${PREFIX.ipv6} dev ${STORAGE_BRIDGE} nodad`,
    `addr add ${HOST_ADDRESSES.management}/${PREFIX.management} dev ${MANAGEMENT_BRIDGE}`,
  );
  for (let index = 1; index <= count; index++) {
    const taps = tapsOf(index);
    lines.push(...tap(taps.storage, STORAGE_BRIDGE), ...tap(taps.management, MANAGEMENT_BRIDGE));
  }
  await run(inNamespace(labId, ["ip", "-batch", "-"]), { stdin: `${lines.join("\n")}\n` });
}

function bridge(name: string): string[] {
  return [`link add ${name} type bridge forward_delay 0 mcast_snooping 0`, `link set ${name} up`];
}

function tap(name: string, master: string): string[] {
  return [`tuntap add dev ${name} mode tap`, `link set ${name} master ${master} up`];
}

/** Kills every process inside the namespace and removes it; synchronous, so that it works while a process exits. */
export function destroyNamespaceSync(labId: string): void {
  const name = namespaceOf(labId);
  const attempt = (argv: string[]): string | undefined => {
    try {
      return execFileSync("ip", argv, { stdio: ["ignore", "pipe", "ignore"] }).toString();
    } catch {
      return undefined;
    }
  };
  for (let round = 0; round < 50; round++) {
    const listed = attempt(["netns", "pids", name]);
    // A signal to our whole process group (Ctrl-C, timeout) may end ip too: what it did not say is not "nobody".
    if (listed === undefined && !existsSync(`/run/netns/${name}`)) break;
    const pids = listed?.split("\n").filter((pid) => pid !== "" && pid !== String(process.pid));
    const living = pids?.filter((pid) => !isZombie(pid));
    if (living?.length === 0) break;
    for (const pid of living ?? []) kill(Number(pid));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  attempt(["netns", "delete", name]);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

function isZombie(pid: string): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return true;
  }
}
