/** Connects to one export, once (a connection is never repeated by the kernel: design.md, section 3). */
import { availableParallelism } from "node:os";
import type { HostAction } from "../../core/action.ts";
import { hostNQN } from "../../api/names.ts";
import { KEEP_ALIVE_S } from "../../core/bounds.ts";
import { MeshStorError } from "../../base/errors.ts";
import { present, sysBlock } from "../block.ts";
import { failure, run } from "../exec.ts";
import { poll, readAttribute, writeAttribute } from "../files.ts";
import { disconnect } from "./disconnect.ts";
import type { Controller } from "./sysfs.ts";
import { headOf, readControllers } from "./sysfs.ts";

/** Seconds between the kernel's own attempts to reconnect: 24 days. Times HZ it must fit an int at HZ=1000 (Z6). */
export const RECONNECT_DELAY_S = 2_147_000;
/** Time-out of a request on an imported namespace in ms (Z8). */
export const IO_TIMEOUT_MS = 10_000;
const CONNECT_MS = 20_000;
const DEVICE_MS = 10_000;

/**
 * Connects and waits for the namespace's block device, whose UUID must be the partition's. A live
 * controller of this very export is success. Throws CommandFailed, CommandTimedOut, or ForeignContent.
 */
export async function connect(action: Extract<HostAction, { kind: "Connect" }>, nodeUID: string): Promise<void> {
  const existing = await controllerOf(action.nqn);
  if (existing === null) {
    const result = await run(connectArguments(action, nodeUID), { deadlineMs: CONNECT_MS, lane: action.nqn });
    const error = failure(result);
    if (error && (await controllerOf(action.nqn)) === null) throw error;
  }
  const device = await waitForDevice(action.nqn);
  const uuid = await readAttribute(`${sysBlock(device)}/uuid`);
  if (uuid !== action.partitionUUID) {
    const controller = await controllerOf(action.nqn);
    if (controller) await disconnect({ kind: "Disconnect", controller: controller.name, nqn: action.nqn });
    throw new MeshStorError("ForeignContent", `the namespace behind ${action.nqn} says it is ${uuid}`);
  }
}

/** The command line; exported for its test. */
export function connectArguments(action: { nqn: string; address: string; port: number }, nodeUID: string, cpus = availableParallelism()): string[] {
  return [
    "nvme",
    "connect",
    "--transport=tcp",
    `--traddr=${action.address}`,
    `--trsvcid=${action.port}`,
    `--nqn=${action.nqn}`,
    `--hostnqn=${hostNQN(nodeUID)}`,
    `--hostid=${nodeUID}`,
    "--ctrl-loss-tmo=-1",
    `--reconnect-delay=${RECONNECT_DELAY_S}`,
    `--keep-alive-tmo=${KEEP_ALIVE_S}`,
    `--nr-io-queues=${Math.min(cpus, 4)}`,
  ];
}

async function controllerOf(nqn: string): Promise<Controller | null> {
  return (await readControllers()).find((c) => c.nqn === nqn) ?? null;
}

/** Waits for the block device, and sets its time-out on the device that has one (Z8). Kernel name of the device to use. */
async function waitForDevice(nqn: string): Promise<string> {
  let state = "gone";
  const device = await poll(DEVICE_MS, 50, async () => {
    const controller = await controllerOf(nqn);
    state = controller?.state ?? "gone";
    if (controller === null || controller.state !== "live") return null;
    const path = controller.paths[0];
    if (path === undefined || !(await present(headOf(path)))) return null;
    await setTimeoutOf(path);
    return headOf(path);
  });
  if (device === null) throw new MeshStorError("CommandTimedOut", `the connection to ${nqn} is ${state} and has no namespace after ${DEVICE_MS / 1000} s`);
  return device;
}

/** With native multipath the attribute exists on the hidden path device only, else on the namespace: in both cases it is `path`. */
async function setTimeoutOf(path: string): Promise<void> {
  const file = `${sysBlock(path)}/queue/io_timeout`;
  if ((await readAttribute(file)) !== String(IO_TIMEOUT_MS)) await writeAttribute(file, String(IO_TIMEOUT_MS));
}
