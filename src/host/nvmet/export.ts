/** Makes one export: one partition, one epoch, one attach number, one allowed host (I2). */
import type { HostAction } from "../../core/action.ts";
import { parseExportNQN } from "../../api/names.ts";
import { MeshStorError } from "../../base/errors.ts";
import { node } from "../block.ts";
import { makeDir, makeLink, readAttribute, writeAttribute } from "../files.ts";
import { assertPartition } from "../gpt/identity.ts";
import { serially } from "../serial.ts";
import { linkToPort } from "./ports.ts";
import { hostDir, namespaceDir, subsystemDir } from "./tree.ts";
import { assertUnused } from "./use.ts";

type CreateExport = Extract<HostAction, { kind: "CreateExport" }>;

/**
 * Builds the subsystem from the inside out; the link to the port, which makes it reachable, comes
 * last. Done again after a cut in the middle it completes the same tree. Throws Unsafe if the
 * partition is used otherwise, ForeignContent if it is not ours.
 */
export async function createExport(action: CreateExport): Promise<void> {
  if (parseExportNQN(action.nqn)?.partitionUUID !== action.partitionUUID)
    throw new MeshStorError("Internal", `${action.nqn} is not an export of partition ${action.partitionUUID}`);
  await assertPartition(action.device, action.partitionUUID);
  await assertUnused(action.device, action.nqn);
  await makeDir(subsystemDir(action.nqn));
  await writeAttribute(`${subsystemDir(action.nqn)}/attr_allow_any_host`, "0");
  await setOnce(`${subsystemDir(action.nqn)}/attr_model`, "MeshStor member");
  await makeNamespace(action);
  await allowHost(action.nqn, action.hostNQN);
  await linkToPort(action.nqn, action.address, action.port);
}

/** Attributes of an enabled namespace are read-only (EBUSY), so they are compared first. */
async function makeNamespace(action: CreateExport): Promise<void> {
  const at = namespaceDir(action.nqn);
  await makeDir(at);
  if ((await readAttribute(`${at}/enable`)) === "1") {
    const path = await readAttribute(`${at}/device_path`);
    if (path !== node(action.device)) throw new MeshStorError("Unsafe", `${action.nqn} exports ${path}, not ${node(action.device)}`);
    return;
  }
  const attributes = { device_path: node(action.device), device_uuid: action.partitionUUID, device_nguid: action.partitionUUID, buffered_io: "0" };
  for (const [name, value] of Object.entries(attributes)) await writeAttribute(`${at}/${name}`, value);
  await writeAttribute(`${at}/enable`, "1", 10_000);
}

/** Exactly one host may connect; the host's directory is shared by its exports, and swept with the last one. */
function allowHost(nqn: string, hostNQN: string): Promise<void> {
  return serially("nvmet-hosts", async () => {
    await makeDir(hostDir(hostNQN));
    await makeLink(hostDir(hostNQN), `${subsystemDir(nqn)}/allowed_hosts/${hostNQN}`);
  });
}

/** Sets a descriptive attribute; kernels refuse some of them once a controller has seen the subsystem. */
async function setOnce(path: string, value: string): Promise<void> {
  const now = await readAttribute(path);
  if (now !== null && now !== value) await writeAttribute(path, value);
}
