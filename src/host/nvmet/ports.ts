/** Our nvmet ports: one per address and service, shared by all exports, there as long as this node exports anything. */
import { isIPv6 } from "node:net";
import { MeshStorError } from "../../base/errors.ts";
import { runOk } from "../exec.ts";
import { listDir, makeDir, makeLink, readAttribute, removeLink, writeAttribute } from "../files.ts";
import { serially } from "../serial.ts";
import { FIRST_PORT, isOurPort, LAST_PORT, nvmetRoot, ourSubsystems, portDir, subsystemDir } from "./tree.ts";

interface PortAddress {
  address: string;
  service: string;
}

/** Links a subsystem to the port for this address, making the port if there is none (one caller at a time). */
export function linkToPort(nqn: string, address: string, service: number): Promise<void> {
  return serially("nvmet-ports", async () => {
    const port = await findOrMake({ address, service: String(service) });
    await makeLink(subsystemDir(nqn), `${portDir(port)}/subsystems/${nqn}`);
  });
}

/** Takes a subsystem off a port. The port itself stays: see {@link sweepPorts}. */
export function unlinkFromPort(nqn: string, port: string): Promise<void> {
  return serially("nvmet-ports", () => removeLink(`${portDir(port)}/subsystems/${nqn}`, 10_000));
}

/**
 * Removes our ports once no export of ours is left, not even one that is still being withdrawn: the
 * kernel lets all controllers of the target go first (configfs.c, nvmet_port_release: flush_workqueue),
 * and behind a drive that hangs that would hold the directory of all ports. In a child, for other
 * people's drives can hang as well.
 */
export function sweepPorts(): Promise<void> {
  return serially("nvmet-ports", async () => {
    const ports = (await listDir(`${nvmetRoot()}/ports`)).filter(isOurPort);
    if (ports.length === 0 || (await ourSubsystems()).length > 0) return;
    for (const port of ports) {
      if ((await listDir(`${portDir(port)}/subsystems`)).length === 0) await runOk(["rmdir", portDir(port)], { deadlineMs: 10_000, lane: "nvmet ports" });
    }
  });
}

async function findOrMake(wanted: PortAddress): Promise<string> {
  const ports = await listDir(`${nvmetRoot()}/ports`);
  for (const port of ports) {
    if (!(await isAt(port, wanted))) continue;
    if (isOurPort(port)) return port;
    throw new MeshStorError("HostUnsuitable", `nvmet port ${port}, which is not ours, has ${wanted.address} port ${wanted.service} already`);
  }
  return makePort(wanted, new Set(ports));
}

async function isAt(port: string, wanted: PortAddress): Promise<boolean> {
  const [transport, address, service] = await Promise.all(["addr_trtype", "addr_traddr", "addr_trsvcid"].map((name) => readAttribute(`${portDir(port)}/${name}`)));
  return transport === "tcp" && address === wanted.address && service === wanted.service;
}

async function makePort(wanted: PortAddress, taken: ReadonlySet<string>): Promise<string> {
  let number = FIRST_PORT;
  while (number <= LAST_PORT && taken.has(String(number))) number += 1;
  if (number > LAST_PORT) throw new MeshStorError("HostUnsuitable", "all nvmet port numbers of ours are taken");
  const port = String(number);
  await makeDir(portDir(port));
  const attributes = { addr_trtype: "tcp", addr_adrfam: isIPv6(wanted.address) ? "ipv6" : "ipv4", addr_traddr: wanted.address, addr_trsvcid: wanted.service };
  for (const [name, value] of Object.entries(attributes)) await writeAttribute(`${portDir(port)}/${name}`, value);
  return port;
}
