/** Arms, changes and disarms the guard of a volume device, and reports what it guards (I10, Z16). */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { dmByName, sysBlock } from "../block.ts";
import { readAttribute } from "../files.ts";
import { askGuard } from "./client.ts";
import type { GuardedDevice, GuardEntry } from "./protocol.ts";
import { armRequest, expectOK, parseEntries, suspendRequest } from "./protocol.ts";
import { tellGuard } from "./start.ts";

/** Replaces what is watched; no connection: nothing is. Idempotent. */
export async function guardVolume(action: Extract<HostAction, { kind: "GuardVolume" }>): Promise<void> {
  const { connections, graceMs } = action;
  const provenAtMs = monotonicOf(action.provenMs);
  const device = await guardedDevice(action.name);
  if (device === null && connections.length === 0) return;
  if (device === null) throw new MeshStorError("CommandFailed", `volume device ${action.name} is not there`);
  const request = armRequest({ ...device, provenAtMs, graceMs, connections });
  if (connections.length > 0) return tellGuard(request, `watch ${action.name}`);
  const answer = await askGuard(request);
  if (answer !== null) expectOK(answer, `forget ${action.name}`);
}

/**
 * A moment of performance.now() on CLOCK_MONOTONIC, which all processes share (uv_hrtime). A pause between the two readings
 * makes it earlier: the guard then suspends sooner, never later.
 */
export function monotonicOf(nowMs: number): number {
  const shared = Number(process.hrtime.bigint()) / 1e6;
  return shared - (performance.now() - nowMs);
}

/** Has the device suspended by a process of the guard's, which the end of the pod does not end (Z14). */
export async function suspendByGuard(name: string): Promise<void> {
  const device = await guardedDevice(name);
  if (device === null) throw new MeshStorError("CommandFailed", `volume device ${name} is not there`);
  await tellGuard(suspendRequest(device), `suspend ${name}`);
}

async function guardedDevice(name: string): Promise<GuardedDevice | null> {
  const device = await dmByName(name);
  const uuid = device === null ? null : await readAttribute(`${sysBlock(device)}/dm/uuid`);
  return device === null || uuid === null ? null : { uuid, name, device };
}

/** What the guard of this host has, by device-mapper UUID; null: no guard runs, or it does not answer. */
export async function observeGuard(): Promise<ReadonlyMap<string, GuardEntry> | null> {
  const lines = await askGuard("list").catch(() => null);
  return lines === null ? null : new Map(parseEntries(lines).map((e) => [e.uuid, e]));
}

/** NQNs that are watched for one volume device, as the snapshot has them; null: no guard. */
export function guardedNQNs(guard: ReadonlyMap<string, GuardEntry> | null, uuid: string): string[] | null {
  return guard === null ? null : (guard.get(uuid)?.connections ?? []).map((c) => c.nqn);
}
