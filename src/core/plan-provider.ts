/** What a node provides to a volume: partitions made, zeroed, exported, wiped and freed. Pure. */
import { exportNQN, hostNQN, partitionLabel } from "../api/names.ts";
import type { FormerOwner } from "../api/volume.ts";
import type { Action } from "./action.ts";
import { fit } from "./gpt-fit.ts";
import type { Export } from "./observed.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { isDeclaredDead, judge, sentenceOf } from "./judge.ts";
import { mayReturn } from "./record-base.ts";
import { mayBeWiped } from "./record.ts";
import { planGrowPartition } from "./plan-grow.ts";
import { hasJob } from "./session.ts";
import type { MemberView, VolumeView } from "./view.ts";
import { waitOut } from "./wait-out.ts";

export function planProvider(view: VolumeView, input: PlanInput): Plan {
  const actions: Action[] = [];
  const waits: string[] = [];
  const abandoned = planAbandoned(view, input);
  if (abandoned) return { actions: [abandoned], waits, refusal: null, done: false };
  for (const member of view.members) {
    if (!member.local) continue;
    const part = planMember(view, member, input);
    if (typeof part === "string") waits.push(part);
    else if (part) actions.push(part);
  }
  return { actions, waits, refusal: null, done: false };
}

/** A deleted volume whose owner is declared dead: nobody else would let go of it, and its partitions would wait for ever. */
function planAbandoned(view: VolumeView, input: PlanInput): Action | null {
  const { owner } = view.status;
  if (!owner || owner.nodeUID === input.me.nodeUID || view.volume.metadata.deletionTimestamp === undefined) return null;
  const judged = judge(owner, input.peers, input.bounds);
  if (!isDeclaredDead(judged) || !view.members.some((m) => m.local)) return null;
  const from = { nodeUID: owner.nodeUID, bootID: owner.bootID, judged: judged! };
  return { kind: "RecordRelease", clean: false, from, why: `volume ${view.name} is deleted, node ${owner.nodeName} owned it, and ${sentenceOf(judged!)}` };
}

/** The next action for one of this node's partitions, a sentence to wait on, or null. */
function planMember(view: VolumeView, member: MemberView, input: PlanInput): Action | string | null {
  const stale = member.exports.find((e) => !isWanted(view, member, e.nqn, input));
  if (stale) return { kind: "CutExport", nqn: stale.nqn, why: `export ${stale.nqn} is no longer wanted by the record` };
  const dead = member.exports.find((e) => isDead(e, member));
  if (dead) return { kind: "CutExport", nqn: dead.nqn, why: `export ${dead.nqn} holds ${dead.devicePath}, the partition is ${member.partition!.device} now` };
  const deleted = view.volume.metadata.deletionTimestamp !== undefined && !view.status.owner;
  if (deleted || mayBeWiped(member.record)) return planWipe(view, member, input);
  if (member.record.state === "Requested") return planCreate(view, member, input);
  return planExport(view, member, input) ?? planGrowPartition(view, member, input);
}

function planCreate(view: VolumeView, member: MemberView, input: PlanInput): Action | string | null {
  const { uuid, record } = member;
  if (member.partition) {
    if (input.session.zeroed.includes(uuid)) return { kind: "RecordCreated", partitionUUID: uuid, why: `partition ${uuid} reads as zeroes` };
    if (hasJob(input.session, uuid)) return `node ${record.nodeID} zeroes partition ${uuid}`;
    return { kind: "ZeroPartition", partitionUUID: uuid, device: member.partition.device, why: "a partition reads as zeroes before its first use (I7)" };
  }
  const table = input.tables.get(record.drive);
  if (!table) {
    const present = input.host.drives.some((d) => d.id === record.drive);
    return present
      ? `node ${record.nodeID} reads the partition table of drive ${record.drive}`
      : { kind: "RecordFaulty", partitionUUID: uuid, message: `drive ${record.drive} is not on node ${record.nodeID}`, why: "the drive is gone" };
  }
  const start = fit(table, record.sizeBytes);
  if (start === null) return { kind: "RecordFaulty", partitionUUID: uuid, message: `drive ${record.drive} has no hole of ${record.sizeBytes} bytes`, why: "the space is gone" };
  return {
    kind: "CreatePartition",
    partitionUUID: uuid,
    drive: record.drive,
    startBytes: start,
    sizeBytes: record.sizeBytes,
    label: partitionLabel(view.uid, member.mirror),
    why: `the record requests a partition on drive ${record.drive}`,
  };
}

/** I2: an export is wanted only for the recorded owner, in its epoch, under the announced number, in this boot. */
function isWanted(view: VolumeView, member: MemberView, nqn: string, input: PlanInput): boolean {
  const { owner } = view.status;
  const announced = member.record.export;
  if (!owner || owner.nodeUID === input.me.nodeUID || !announced || member.record.state === "Deleting") return false;
  if (announced.epoch !== view.epoch || announced.bootID !== input.me.bootID) return false;
  if (announced.attach <= (member.record.detachedAttach ?? 0)) return false;
  if (member.record.state === "Faulty" && !mayReturn(view.status, member.record)) return false;
  return nqn === exportNQN({ partitionUUID: member.uuid, epoch: announced.epoch, attach: announced.attach });
}

/** The drive went and came back under another name: what the export holds is dead, whoever is connected to it. */
function isDead(e: Export, member: MemberView): boolean {
  return member.partition !== null && e.devicePath !== "" && e.devicePath !== `/dev/${member.partition.device}`;
}

/** States in which nobody connects to a member any more. */
const LEAVING: ReadonlySet<string> = new Set(["Replacing", "Deleting"]);

function planExport(view: VolumeView, member: MemberView, input: PlanInput): Action | string | null {
  const { owner } = view.status;
  const { record, uuid } = member;
  if (!owner || owner.nodeUID === input.me.nodeUID || LEAVING.has(record.state)) return null;
  if (record.state === "Faulty" && !mayReturn(view.status, record)) return null;
  const reason = notYet(view, member, input);
  if (reason !== null) return reason;
  const last = Math.max(record.export?.attach ?? 0, record.detachedAttach ?? 0);
  const nqn = record.export ? exportNQN({ partitionUUID: uuid, epoch: record.export.epoch, attach: record.export.attach }) : "";
  const existing = member.exports.find((e) => e.nqn === nqn);
  if (record.export && isWanted(view, member, nqn, input)) {
    if (existing && existing.enabled && existing.ports.length > 0) return null;
    // Z6: an export that this process did not announce itself may have been live and withdrawn before: never remade.
    if (input.session.announced.includes(nqn)) return createExport(member, nqn, owner.nodeUID, record.export);
    if (existing) return { kind: "CutExport", nqn, why: "an export left unfinished by an earlier process is withdrawn, never completed (Z6)" };
  }
  return { kind: "RecordExport", partitionUUID: uuid, epoch: view.epoch, attach: last + 1, why: `owner ${owner.nodeName} needs a connection to ${uuid}` };
}

/** Why a member is not exported now; null if it may be. */
function notYet(view: VolumeView, member: MemberView, input: PlanInput): string | null {
  const { record, uuid } = member;
  if (!member.partition) return `node ${record.nodeID} does not see partition ${uuid} (drive ${record.drive})`;
  // A claim can land between two attempts to record the zeroes: the second one still writes.
  if (hasJob(input.session, uuid)) return `node ${record.nodeID} zeroes partition ${uuid}`;
  // I2: what is still in use here is not offered to another node; a window may be left on a drive that was pulled.
  if (member.partition.holders.length > 0 || member.window !== null) return `partition ${uuid} is still in use on node ${record.nodeID}`;
  // I10: cut off, and not yet exported anew: a former owner may read its own member until it notices.
  return waitOut(view, uuid, input);
}

function createExport(member: MemberView, nqn: string, ownerUID: string, announced: { address: string; port: number }): Action {
  return {
    kind: "CreateExport",
    nqn,
    partitionUUID: member.uuid,
    device: member.partition!.device,
    hostNQN: hostNQN(ownerUID),
    address: announced.address,
    port: announced.port,
    why: "the export was announced in the record",
  };
}

/** I7, I9: withdrawn, not in use, wiped in this process, deleted from the table, then taken out of the record. */
function planWipe(view: VolumeView, member: MemberView, input: PlanInput): Action | string | null {
  const { uuid, record, partition } = member;
  if (!partition) return planGone(view, member, input);
  if (partition.holders.length > 0) return `partition ${uuid} is still in use on node ${record.nodeID}`;
  if (hasJob(input.session, uuid)) return `node ${record.nodeID} wipes partition ${uuid}`;
  const clean = input.session.wiped.includes(uuid) || record.state === "Requested";
  if (!clean) return { kind: "WipePartition", partitionUUID: uuid, device: partition.device, why: "deleted data is zeroed before the space is free again (I7)" };
  return { kind: "DeletePartition", partitionUUID: uuid, drive: partition.drive, number: partition.number, device: partition.device, why: "nothing of its data is left" };
}

/** The entry leaves the record only when the drive's table, read from the drive, shows that the partition is gone. */
function planGone(view: VolumeView, member: MemberView, input: PlanInput): Action | string {
  const { uuid, record } = member;
  const table = input.tables.get(record.drive);
  if (!table) return `drive ${record.drive} is not readable on node ${record.nodeID}; its partition is wiped when it is back`;
  if (table.entries.some((e) => e.uuid.toLowerCase() === uuid)) return `the kernel of node ${record.nodeID} does not show partition ${uuid} yet`;
  const [former] = view.status.former ?? [];
  if (former) return buryOrWait(former, input);
  return { kind: "RecordDeleted", partitionUUID: uuid, why: `partition ${uuid} is gone from drive ${record.drive}` };
}

/** I4: a former owner that may have the member assembled finds it through its entry; one that is declared dead has nothing. */
function buryOrWait(former: FormerOwner, input: PlanInput): Action | string {
  const verdict = judge(former, input.peers, input.bounds);
  if (!isDeclaredDead(verdict)) return `node ${former.nodeName} owned the volume and may still have it assembled; it says so when it is back, or delete its Node object`;
  return {
    kind: "RecordTornDown",
    nodeUID: former.nodeUID,
    judged: verdict,
    why: `node ${former.nodeName} owned the volume, and ${sentenceOf(verdict!)}: nothing of it runs there`,
  };
}
