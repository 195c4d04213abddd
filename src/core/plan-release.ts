/**
 * Members that are lost or retired leave the arrays, in the order that keeps L1 (I1):
 *
 *   record (compare-and-swap, made by this process after it saw the loss; raises the generation, Z2)
 *   → label the survivors (Z20) → fail by ioctl (Z1) → disconnect → remove → close the window.
 *
 * The record of a loss gives the connection's attach number up, so that the provider may export anew; a member that is
 * retired keeps its export until it has left, or its I/O would be held meanwhile.
 *
 * All that is lost goes in one batch (Z3). The last recorded member of a mirror is never released:
 * its I/O stays held, and the sentence says which node it waits for. What MD has failed by itself, or
 * somebody took out by hand, is recorded at once.
 */
import type { Action } from "./action.ts";
import type { Connection } from "./observed.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { act, NOTHING } from "./plan-types.ts";
import { lossKey } from "./session.ts";
import type { MemberView, MirrorView, VolumeView } from "./view.ts";
import { isCurrent, isHeld, isLost, throughOf } from "./view.ts";

/** What is lost or leaving now. Goes before everything else: writes wait for it. */
export function planRelease(view: VolumeView, input: PlanInput): Plan {
  const waits: string[] = [];
  const leaving = view.mirrors.flatMap((mirror) => leavingOf(mirror, waits));
  waits.push(...view.members.flatMap((m) => silentDrive(m, input)));
  return { ...(releaseStep(view, leaving, input) ?? NOTHING), waits };
}

/** Members of one mirror that must leave its array now; the last recorded one stays. */
function leavingOf(mirror: MirrorView, waits: string[]): MemberView[] {
  if (!mirror.array) return [];
  const leaving = mirror.members.filter((m) => (m.inArray === null ? m.recorded : isLost(m) || m.record.state === "Replacing" || m.record.state === "Deleting"));
  if (mirror.members.some((m) => m.recorded && !leaving.includes(m))) return leaving;
  const recorded = leaving.filter((m) => m.recorded);
  // Held ones have every acknowledged write; one that MD failed by itself may lack some.
  const held = recorded.filter((m) => m.inArray !== null && !isFaulty(m));
  const last = held.length > 0 ? held : recorded;
  const nodes = [...new Set(last.map((m) => m.record.nodeID))].join(", ");
  if (last.length > 0) waits.push(`writes are held: node ${nodes} holds the last good copy of mirror ${mirror.index} and does not answer`);
  return leaving.filter((m) => !last.includes(m));
}

/** Z21: its requests come back from its driver or not at all; MD waits for them also when the member is failed. */
function silentDrive(m: MemberView, input: PlanInput): string[] {
  const silent = input.session.seen.silent[m.uuid];
  if (!silent || input.nowMs - silent.sinceMs < input.bounds.silentDriveMs || isFaulty(m)) return [];
  return [`writes wait for drive ${m.record.drive} of node ${m.record.nodeID}, which answers no request; they go on when it answers, or when its kernel gives it up`];
}

function isFaulty(m: MemberView): boolean {
  return m.inArray?.flags.includes("faulty") ?? false;
}

/** MD takes an array for broken whose last member in sync fails (Z1). */
function isLastInSync(view: VolumeView, m: MemberView): boolean {
  const others = view.mirrors[m.mirror]!.array!.members.filter((x) => x.device !== m.inArray!.device && x.flags.includes("in_sync") && !x.flags.includes("faulty"));
  return m.inArray!.flags.includes("in_sync") && others.length === 0;
}

function releaseStep(view: VolumeView, leaving: MemberView[], input: PlanInput): Plan | null {
  const unrecorded = leaving.filter((m) => m.recorded || !input.session.recordedOut.includes(lossKey(m.uuid, throughOf(m))));
  if (unrecorded.length > 0) return record(unrecorded);
  const stamp = stampSurvivors(view, leaving, input);
  if (stamp) return act(stamp);
  const alive = leaving.filter((m) => m.inArray !== null && !isFaulty(m) && !isLastInSync(view, m));
  if (alive.length > 0) return act(...alive.map((m) => fail(view, m)));
  const failed = leaving.filter(isFaulty);
  const connected = failed.filter((m) => m.connection !== null && !m.local);
  if (connected.length > 0) return act(...connected.map(disconnect));
  const removable = failed.filter((m) => !view.mirrors[m.mirror]!.members.some(isHeld));
  return removable.length > 0 ? act(...removable.map((m) => remove(view, m))) : null;
}

/** One compare-and-swap for all losses, one for all retired members (Z3). */
function record(members: MemberView[]): Plan {
  const retired = members.filter((m) => m.record.state === "Replacing" || m.record.state === "Deleting");
  const lost = members.filter((m) => !retired.includes(m));
  const refs = (list: MemberView[], attach: (m: MemberView) => number | null) => list.map((m) => ({ partitionUUID: m.uuid, mirror: m.mirror, attach: attach(m) }));
  if (lost.length > 0)
    return act({ kind: "RecordOut", members: refs(lost, attachOf), reason: "lost", why: `${describe(lost)} lost: recorded out before its writes are released (I1)` });
  return act({ kind: "RecordRetire", members: refs(retired, () => null), why: `${describe(retired)} leaves the volume` });
}

/** The number that goes with a member: of its connection, or, if that is gone already, the one announced last. */
function attachOf(m: MemberView): number | null {
  if (m.local) return null;
  return m.connection?.attach ?? m.record.export?.attach ?? null;
}

function describe(members: MemberView[]): string {
  return members.map((m) => `member ${m.uuid} on node ${m.record.nodeID}`).join(", ");
}

/** Z20: the survivors carry the new generation before the loss is released. */
function stampSurvivors(view: VolumeView, leaving: MemberView[], input: PlanInput): Action | null {
  const devices = view.mirrors
    .filter((mirror) => leaving.some((m) => m.mirror === mirror.index))
    .flatMap((mirror) =>
      mirror.members
        .filter((m) => m.recorded && !leaving.includes(m) && m.inArray && m.path !== null && input.session.stamped[m.uuid] !== `${view.epoch}:${mirror.generation}`)
        .map((m) => ({ partitionUUID: m.uuid, mirror: m.mirror, device: m.path!, generation: mirror.generation })),
    );
  if (devices.length === 0) return null;
  return { kind: "StampLabel", devices, volumeUID: view.uid, epoch: view.epoch, atStart: false, why: "survivors are labelled before the loss is released (Z20)" };
}

function fail(view: VolumeView, m: MemberView): Action {
  return { kind: "FailMember", device: arrayOf(view, m), partitionUUID: m.uuid, window: m.window!.device, why: "recorded out; MD may go on without it (Z1: by ioctl, not sysfs)" };
}

function disconnect(m: MemberView): Action {
  return { kind: "Disconnect", controller: m.connection!.controller, nqn: m.connection!.nqn, why: "a connection is used once; its held requests now end" };
}

function remove(view: VolumeView, m: MemberView): Action {
  return { kind: "RemoveMember", device: arrayOf(view, m), partitionUUID: m.uuid, window: m.window!.device, why: "a failed member leaves the array" };
}

function arrayOf(view: VolumeView, m: MemberView): string {
  return view.mirrors[m.mirror]!.array!.device;
}

/** What a release leaves behind: connections nobody may use again, windows no array uses, members that left for good. */
export function planLeftovers(view: VolumeView): Plan {
  const idle = view.members.filter((m) => m.inArray === null);
  const connections = idle.flatMap((m) => m.connections.map((c) => deadConnection(m, c, view.epoch))).filter((a) => a !== null);
  if (connections.length > 0) return act(...connections);
  const windows = idle.filter((m) => m.window !== null && (isLost(m) || m.record.state === "Replacing"));
  if (windows.length > 0) return act(...windows.map((m): Action => ({ kind: "CloseWindow", partitionUUID: m.uuid, why: "no array uses it, and its path is gone" })));
  if (view.mirrors.some((m) => m.array === null)) return NOTHING;
  const retired = idle.find((m) => m.record.state === "Replacing");
  return retired ? retire(retired) : NOTHING;
}

/** A connection that is not live is given up in the record first, then deleted; so is one of an older number or epoch. */
function deadConnection(m: MemberView, c: Connection, epoch: number): Action | null {
  const alive = c.state === "live" || c.state === "new";
  const current = isCurrent(c, m.record, epoch);
  if (alive && current) return null;
  if (current) return { kind: "RecordDetached", partitionUUID: m.uuid, attach: c.attach, why: `the connection to node ${m.record.nodeID} died before its member joined` };
  return disconnect({ ...m, connection: c });
}

function retire(m: MemberView): Plan {
  if (m.connections.length > 0) return act(...m.connections.map((c) => disconnect({ ...m, connection: c })));
  return act({ kind: "RecordRetired", partitionUUID: m.uuid, why: "the member has left the array and its connection (I9)" });
}
