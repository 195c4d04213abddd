/** Our nvmet ports: one per address and service, shared by all exports, there as long as one uses it. */
import { isIPv6 } from "node:net";
import { MeshStorError } from "../../base/errors.ts";
import { listDir, makeDir, makeLink, readAttribute, removeDir, removeLink, writeAttribute } from "../files.ts";
import { serially } from "../serial.ts";
import { FIRST_PORT, isOurPort, LAST_PORT, nvmetRoot, portDir, subsystemDir } from "./tree.ts";

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

/** Takes a subsystem off a port; the port goes with its last subsystem, if it is ours. */
export function unlinkFromPort(nqn: string, port: string): Promise<void> {
  return serially("nvmet-ports", async () => {
    await removeLink(`${portDir(port)}/subsystems/${nqn}`, 10_000);
    await removeIfUnused(port);
  });
}

/** Removes a port of ours that nothing is linked to. */
async function removeIfUnused(port: string): Promise<void> {
  if (!isOurPort(port) || (await listDir(`${portDir(port)}/subsystems`)).length > 0) return;
  await removeDir(portDir(port), 10_000);
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

/** Removes ports of ours that an interrupted action left without a subsystem. */
export function sweepPorts(): Promise<void> {
  return serially("nvmet-ports", async () => {
    for (const port of await listDir(`${nvmetRoot()}/ports`)) await removeIfUnused(port);
  });
}
