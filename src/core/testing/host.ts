/**
 * Host actions of the model. Each is a generator: where it yields, the agent can die and the action
 * stays half done. Every rule that can be checked at the moment of the act is checked here.
 */
import { MiB } from "../../base/units.ts";
import { hostNQN, parseExportNQN } from "../../api/names.ts";
import type { HostAction } from "../action.ts";
import { applyFenceAction, isReleasedByForce } from "./host-fence.ts";
import { applyGrowth } from "./host-growth.ts";
import { applyMirrorAction } from "./host-mirror.ts";
import { applyVolumeAction } from "./host-volume.ts";
import { belowOf, connDevice, controllerOf, partDevice } from "./host-snapshot.ts";
import { breakConnection, connState, driveState, land } from "./md.ts";
import type { ConnState, DriveState, ExportState, Label, NodeState, Part, WindowState, World } from "./world.ts";
import { BLOCKS, FOREIGN, freeSlot, hostError, isCut, statusOf, violated } from "./world.ts";

type Steps = Generator<void, void>;
type Of<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;

/** The whole action at once. */
export function applyAll(w: World, n: NodeState, action: HostAction): void {
  const steps = applyHost(w, n, action);
  while (!steps.next().done);
}

export function* applyHost(w: World, n: NodeState, action: HostAction): Steps {
  switch (action.kind) {
    case "CreatePartition":
      return createPartition(n, action);
    case "ZeroPartition":
      return yield* erase(w, n, action.partitionUUID, "zeroed");
    case "WipePartition":
      return yield* erase(w, n, action.partitionUUID, "wiped");
    case "DeletePartition":
      return deletePartition(w, n, action);
    case "CutExport":
      return yield* cutExport(w, n, action);
    case "CreateExport":
      return yield* createExport(w, n, action);
    case "Connect":
      return connect(w, n, action);
    case "Disconnect":
      return disconnect(w, n, action);
    case "OpenWindow":
      return openWindow(n, action);
    case "CloseWindow":
      return closeWindow(n, action.partitionUUID);
    case "GrowPartition":
    case "ZeroExtension":
    case "GrowWindow":
    case "GrowMirror":
    case "GrowVolumeDevice":
    case "GrowFilesystem":
      return yield* applyGrowth(w, n, action);
    case "StampLabel":
      return yield* stampLabel(w, n, action);
    case "GuardVolume":
    case "SuspendVolume":
    case "ResumeVolume":
    case "KillUsers":
    case "ShutdownFilesystem":
    case "FailVolume":
      return applyFenceAction(w, n, action);
    case "CreateVolumeDevice":
    case "RemoveVolumeDevice":
    case "MakeFilesystem":
    case "MountStage":
    case "BindDevice":
    case "UnmountStage":
    case "MountPublish":
    case "UnmountPublish":
      return applyVolumeAction(w, n, action);
    default:
      return yield* applyMirrorAction(w, n, action);
  }
}

function driveOf(n: NodeState, id: string): DriveState {
  const drive = n.drives.find((d) => d.id === id && d.present);
  if (!drive) throw hostError("CommandFailed", `drive ${id} is not there`);
  return drive;
}

function createPartition(n: NodeState, action: Of<"CreatePartition">): void {
  const drive = driveOf(n, action.drive);
  const there = drive.parts.find((p) => p.uuid === action.partitionUUID);
  if (there) return;
  const end = action.startBytes + action.sizeBytes;
  if (drive.parts.some((p) => p.startBytes < end && action.startBytes < p.startBytes + p.sizeBytes)) violated("I9", `partition ${action.partitionUUID} would overlap another`);
  let number = 1;
  while (drive.parts.some((p) => p.number === number)) number += 1;
  const content = Array.from({ length: BLOCKS }, () => FOREIGN);
  const place = { node: n.name, drive: drive.id, number, startBytes: action.startBytes, sizeBytes: action.sizeBytes };
  drive.parts.push({ uuid: action.partitionUUID, ...place, content, zeroedBytes: 0, label: "foreign", superblock: null });
}

/** The partition and its drive, if the node can open it for itself; violations of I7 where a record or a user forbids it. */
function exclusive(w: World, n: NodeState, uuid: string, what: string): { drive: DriveState; part: Part } {
  // Before its first use R may name it while a second attempt to zero it still runs: then nobody opens it.
  if (
    (statusOf(w).mirrors ?? []).some((m) => (m.created || what !== "zeroed") && m.inSync.includes(uuid)) &&
    !(w.api.versions.at(-1)?.metadata.deletionTimestamp && !statusOf(w).owner)
  )
    violated("I7", `partition ${uuid} is ${what} although R names it`);
  const drive = n.drives.find((d) => d.present && d.parts.some((p) => p.uuid === uuid));
  if (!drive) throw hostError("CommandFailed", `partition ${uuid} is not there`);
  if (n.windows.some((x) => x.uuid === uuid && x.drive === drive && x.incarnation === drive.incarnation)) violated("I7", `partition ${uuid} is ${what} although it is open`);
  if (n.exports.some((e) => e.part.uuid === uuid)) violated("I7", `partition ${uuid} is ${what} although it is exported`);
  return { drive, part: drive.parts.find((p) => p.uuid === uuid)! };
}

function* erase(w: World, n: NodeState, uuid: string, what: string): Steps {
  const { part } = exclusive(w, n, uuid, what);
  part.content = part.content.map((value, i) => (i === 0 ? 0 : value));
  yield;
  const again = exclusive(w, n, uuid, what).part;
  again.content = again.content.map(() => 0);
  again.label = null;
  again.superblock = null;
  again.zeroedBytes = again.sizeBytes;
}

function deletePartition(w: World, n: NodeState, action: Of<"DeletePartition">): void {
  const drive = driveOf(n, action.drive);
  if (!drive.parts.some((p) => p.uuid === action.partitionUUID)) return;
  const { part } = exclusive(w, n, action.partitionUUID, "deleted");
  if (part.content.some((value) => value > 0)) violated("I7", `partition ${part.uuid} is deleted with data on it`);
  drive.parts.splice(drive.parts.indexOf(part), 1);
}

function* cutExport(w: World, n: NodeState, action: Of<"CutExport">): Steps {
  const e = n.exports.find((x) => x.nqn === action.nqn);
  if (!e) return;
  e.ready = false;
  for (const host of w.nodes) for (const c of host.conns) if (c.export === e) breakConnection(w, host, c);
  yield;
  if (w.rng.chance(w.trouble)) throw hostError("CommandTimedOut", `the namespace of ${e.nqn} does not drain`);
  drain(w, e);
  n.exports.splice(n.exports.indexOf(e), 1);
}

/** Disabling a namespace returns when its requests are done: each has reached the drive, or never will. */
export function drain(w: World, e: ExportState): void {
  while (e.late.length > 0)
    if (w.rng.chance(0.5) && e.drive.present && e.drive.incarnation === e.incarnation) land(w, e, 0);
    else e.late.shift();
}

function* createExport(w: World, n: NodeState, action: Of<"CreateExport">): Steps {
  const name = parseExportNQN(action.nqn)!;
  let e = n.exports.find((x) => x.nqn === action.nqn);
  if (!e) {
    const drive = n.drives.find((d) => d.present && d.parts.some((p) => p.uuid === name.partitionUUID));
    if (!drive) throw hostError("CommandFailed", `partition ${name.partitionUUID} is not there`);
    if (n.exports.some((x) => x.part.uuid === name.partitionUUID)) violated("I2", `${action.nqn} is made before the older export is cut`);
    if (n.windows.some((x) => x.uuid === name.partitionUUID)) violated("I2", `${action.nqn} is made while the partition is in use on its node`);
    if (w.exported.has(action.nqn)) violated("Z6", `${action.nqn} is made a second time`);
    const owner = w.epochOwner.get(name.epoch);
    if (owner === undefined || hostNQN(owner) !== action.hostNQN) violated("I2", `${action.nqn} is offered to a host that never owned epoch ${name.epoch}`);
    w.exported.add(action.nqn);
    const part = drive.parts.find((p) => p.uuid === name.partitionUUID)!;
    e = {
      nqn: action.nqn,
      part,
      drive,
      device: action.device,
      incarnation: drive.incarnation,
      epoch: name.epoch,
      attach: name.attach,
      hostNQN: action.hostNQN,
      ready: false,
      late: [],
    };
    n.exports.push(e);
  }
  yield;
  if (w.rng.chance(w.trouble)) throw hostError("CommandFailed", `${e.nqn} cannot be linked to its port`);
  if (n.exports.includes(e)) e.ready = true;
}

/** The export behind an address, if it can be reached and lets this host in. */
function reach(w: World, n: NodeState, nqn: string): { provider: NodeState; e: ExportState } {
  for (const provider of w.nodes) {
    const e = provider.exports.find((x) => x.nqn === nqn);
    if (e && provider.up && e.ready && e.hostNQN === hostNQN(n.uid) && !isCut(w, n.name, provider.name)) return { provider, e };
  }
  throw hostError("CommandFailed", `connecting to ${nqn} failed`);
}

function connect(w: World, n: NodeState, action: Of<"Connect">): void {
  if (n.conns.some((c) => c.nqn === action.nqn)) return;
  if (n.conns.some((c) => c.uuid === action.partitionUUID)) throw hostError("CommandFailed", "duplicate namespace (Z9)");
  const { provider, e } = reach(w, n, action.nqn);
  if (w.connected.has(action.nqn)) violated("Z6", `${action.nqn} is connected a second time`);
  w.connected.add(action.nqn);
  const conn: ConnState = {
    slot: freeSlot(n.conns),
    nqn: action.nqn,
    uuid: action.partitionUUID,
    epoch: e.epoch,
    attach: e.attach,
    provider: provider.name,
    export: e,
    state: "live",
    broken: false,
    brokenAtMs: 0,
    gone: false,
  };
  n.conns.push(conn);
}

function disconnect(w: World, n: NodeState, action: Of<"Disconnect">): void {
  const c = n.conns.find((x) => x.nqn === action.nqn && controllerOf(x) === action.controller);
  if (!c) return;
  for (const array of n.arrays) {
    const m = array.members.find((x) => x.window.conn === c);
    if (m && !m.faulty && !isReleasedByForce(w, n)) violated("Z1", `${action.nqn} is disconnected under a member that MD still counts on`);
  }
  dropConnection(w, n, c);
}

/** The controller is deleted on the host; what was held ends with an error. */
export function dropConnection(w: World, n: NodeState, c: ConnState): void {
  breakConnection(w, n, c);
  c.gone = true;
  n.conns.splice(n.conns.indexOf(c), 1);
}

/** What a device name stands for on this node: a partition of its own, or a connection. */
function resolve(n: NodeState, device: string): { drive: DriveState; part: Part } | { conn: ConnState } | null {
  for (const drive of n.drives) if (drive.present) for (const part of drive.parts) if (partDevice(drive, part) === device) return { drive, part };
  const conn = n.conns.find((c) => connDevice(c) === device);
  return conn ? { conn } : null;
}

function openWindow(n: NodeState, action: Of<"OpenWindow">): void {
  const there = n.windows.find((x) => x.uuid === action.partitionUUID);
  if (there) {
    if (belowOf(there) === action.below && there.epoch === action.epoch) return;
    throw hostError("CommandFailed", `window of ${action.partitionUUID} is there and different`);
  }
  const on = resolve(n, action.below);
  if (!on) throw hostError("CommandFailed", `${action.below} is not there`);
  const part = "conn" in on ? on.conn.export.part : on.part;
  if (part.uuid !== action.partitionUUID) violated("I9", `the window of ${action.partitionUUID} is opened on ${part.uuid}`);
  if ("drive" in on && n.exports.some((e) => e.part === part)) violated("I2", `partition ${part.uuid} is opened while it is exported`);
  if (part.sizeBytes < MiB + action.sizeBytes) violated("growth", `the window of ${part.uuid} is bigger than the partition below it`);
  const base = { slot: freeSlot(n.windows), sizeBytes: action.sizeBytes, uuid: part.uuid, epoch: action.epoch, part };
  const win: WindowState = "conn" in on ? { ...base, conn: on.conn, drive: null, incarnation: 0 } : { ...base, conn: null, drive: on.drive, incarnation: on.drive.incarnation };
  n.windows.push(win);
}

function closeWindow(n: NodeState, uuid: string): void {
  const win = n.windows.find((x) => x.uuid === uuid);
  if (!win) return;
  if (n.arrays.some((a) => a.members.some((m) => m.window === win))) throw hostError("CommandFailed", `window of ${uuid} is in use`);
  n.windows.splice(n.windows.indexOf(win), 1);
}

function* stampLabel(w: World, n: NodeState, action: Of<"StampLabel">): Steps {
  for (const d of action.devices) {
    const on = resolve(n, d.device);
    if (!on) throw hostError("CommandFailed", `${d.device} is not there`);
    if (("conn" in on ? connState(on.conn) : driveState(on.drive, on.drive.incarnation)) !== "live") throw hostError("CommandTimedOut", `${d.device} does not answer`);
    const part = "conn" in on ? on.conn.export.part : on.part;
    if (part.uuid !== d.partitionUUID) violated("I9", `the label of ${d.partitionUUID} goes to ${part.uuid}`);
    const next = { volume: action.volumeUID, member: part.uuid, epoch: action.epoch, generation: d.generation };
    writeLabel(part, next, action.atStart ? (d.recordGeneration ?? Number.POSITIVE_INFINITY) : null);
    yield;
    if (w.rng.chance(w.trouble)) throw hostError("CommandTimedOut", `${d.device} does not answer any more`);
  }
}

/** host/label/rules.ts; `atStart` is the record's generation, null later in the epoch. */
function writeLabel(part: Part, next: Label, atStart: number | null): void {
  const { label } = part;
  if (label === "foreign" || (label && label.volume !== next.volume)) violated("I9", `a label is written over foreign content on ${part.uuid}`);
  if (label !== null && !(label.epoch === next.epoch && label.generation === next.generation)) {
    const newer =
      atStart !== null ? label.epoch >= next.epoch || label.generation > atStart : label.epoch > next.epoch || (label.epoch === next.epoch && label.generation > next.generation);
    if (newer) throw hostError("RecordOlderThanLabel", `label of ${part.uuid} says ${label.epoch}:${label.generation}, the record ${next.epoch}:${next.generation}`);
  }
  part.label = next;
}

/** What a power cut leaves of a node: its drives. Requests under way to it are lost or done. */
export function losePower(w: World, n: NodeState): void {
  for (const e of n.exports) drain(w, e);
  for (const array of n.arrays)
    for (const write of array.writes)
      for (const uuid of write.waiting) {
        const win = array.members.find((m) => m.window.uuid === uuid)?.window;
        if (win?.conn && !win.conn.broken) breakConnection(w, n, win.conn);
        else if (win && !win.conn && w.rng.chance(0.5)) land(w, { part: win.part, late: [{ block: write.block, phase: write.phase, value: write.value }] }, 0);
      }
  for (const host of w.nodes) for (const c of host.conns) if (c.provider === n.name) breakConnection(w, host, c);
  for (const c of n.conns) Object.assign(c, { broken: true, gone: true });
  Object.assign(n, { up: false, exports: [], conns: [], windows: [], arrays: [], volumeDevice: null, mounts: [], killed: false, shutDown: false });
}

/** Everything of the volume that a node still has; empty when I8 may say that nothing is left. */
export function leftoversOf(n: NodeState): string[] {
  return [
    ...n.mounts.map((m) => `mount ${m.target}`),
    ...(n.volumeDevice ? ["volume device"] : []),
    ...n.arrays.map((a) => `array of mirror ${a.mirror}`),
    ...n.windows.map((x) => `window of ${x.uuid}`),
    ...n.conns.map((c) => `connection ${c.nqn}`),
  ];
}
