/** What must hold after every step of the model (design section 4). */
import { hostNQN } from "../../api/names.ts";
import type { Action } from "../action.ts";
import { boundsOf } from "../bounds.ts";
import type { VolumeView } from "../view.ts";
import { leftoversOf } from "./host.ts";
import { inSyncMembers, pathOf } from "./md.ts";
import type { ArrayState, NodeState, World } from "./world.ts";
import { bootID, findPart, hasUsers, latest, statusOf, violated } from "./world.ts";

export function checkWorld(w: World): void {
  checkOneWriter(w);
  checkRecorded(w);
  for (const n of w.nodes) {
    checkExports(w, n);
    checkFresh(w, n);
    for (const array of n.arrays) if (runsCurrent(w, n, array)) checkMembers(w, array);
  }
}

/** I2: arrays run on the recorded owner in the recorded epoch, or are a former owner's, of an older epoch; no member answers to two. */
function checkOneWriter(w: World): void {
  const { epoch = 0 } = statusOf(w);
  const answering = new Map<string, number>();
  for (const n of w.nodes)
    for (const array of n.arrays) {
      if (array.epoch > epoch || (array.epoch === epoch && !runsCurrent(w, n, array)))
        violated(
          "I2",
          `mirror ${array.mirror} runs on node ${n.name} in epoch ${array.epoch}, the record is at ${epoch} and the owner is ${statusOf(w).owner?.nodeName ?? "nobody"}`,
        );
      for (const m of array.members) {
        const { uuid } = m.window;
        if (m.window.epoch !== array.epoch) violated("I2", `member ${uuid} of epoch ${m.window.epoch} runs in an array of epoch ${array.epoch}`);
        if (m.faulty || pathOf(m.window) !== "live") continue;
        const other = answering.get(uuid);
        if (other !== undefined && other !== array.epoch) violated("I2", `member ${uuid} answers to epochs ${other} and ${array.epoch}`);
        answering.set(uuid, array.epoch);
      }
    }
}

/** The array is the recorded owner's, of this epoch. */
function runsCurrent(w: World, n: NodeState, array: ArrayState): boolean {
  const { owner, epoch } = statusOf(w);
  return owner?.nodeUID === n.uid && owner.bootID === bootID(n) && array.epoch === epoch;
}

/** I10: whoever could read here now reads nothing older than what the newest epoch serves. */
function checkFresh(w: World, n: NodeState): void {
  if (!hasUsers(n) || n.volumeDevice?.suspended) return;
  for (const array of n.arrays) {
    // Z16: the promise is kept without the agent for every member that somebody else could start from.
    const loose = array.members.find(
      (m) => m.window.conn && !m.window.conn.gone && m.inSync && !m.faulty && isRecorded(w, m.window.uuid) && !n.volumeDevice?.guard?.nqns.includes(m.window.conn.nqn),
    );
    if (w.guards && loose && runsCurrent(w, n, array)) violated("Z16", `node ${n.name} serves with member ${loose.window.uuid} in R, which its guard does not watch`);
    if (array.epoch < w.serving && inSyncMembers(array).some((m) => pathOf(m.window) === "live"))
      violated("I10", `node ${n.name} serves reads of epoch ${array.epoch}, epoch ${w.serving} has begun`);
  }
}

function isRecorded(w: World, uuid: string): boolean {
  return (statusOf(w).mirrors ?? []).some((m) => m.inSync.includes(uuid));
}

/** L1: every acknowledged write is on every member of R. */
function checkRecorded(w: World): void {
  // A deleted volume that nobody owns is wiped, whatever R says.
  if (latest(w)?.metadata.deletionTimestamp && !statusOf(w).owner) return;
  for (const mirror of statusOf(w).mirrors ?? [])
    for (const uuid of mirror.inSync) {
      const part = findPart(w, uuid);
      if (!part) violated("L1", `member ${uuid} of R does not exist`);
      w.acked[mirror.index]!.forEach((value, block) => {
        if (part.content[block]! < value)
          violated("L1", `block ${mirror.index}.${block} of ${uuid}, which is in R, carries write ${part.content[block]}, acknowledged is ${value}`);
      });
    }
}

function checkExports(w: World, n: NodeState): void {
  for (const e of n.exports) {
    if (n.exports.some((x) => x !== e && x.part === e.part)) violated("I2", `partition ${e.part.uuid} is exported twice`);
    const owner = w.epochOwner.get(e.epoch);
    if (owner === undefined || hostNQN(owner) !== e.hostNQN) violated("I2", `${e.nqn} is offered to a host that never owned its epoch`);
    if (n.windows.some((x) => x.part === e.part && x.conn === null)) violated("I2", `partition ${e.part.uuid} is exported and in use on node ${n.name}`);
  }
}

/** I5: members that MD takes for in sync carry every acknowledged write, and are equal where nothing is under way. */
function checkMembers(w: World, array: ArrayState): void {
  const members = inSyncMembers(array);
  for (let block = 0; block < w.acked[array.mirror]!.length; block += 1) {
    const busy = array.writes.some((x) => x.block === block);
    for (const m of members) {
      const value = m.window.part.content[block]!;
      if (value < w.acked[array.mirror]![block]!)
        violated("I5", `block ${array.mirror}.${block} of ${m.window.uuid}, in sync, carries write ${value}, acknowledged is ${w.acked[array.mirror]![block]}`);
      const other = members[0]!.window.part.content[block]!;
      if (!busy && value !== other) violated("I5", `block ${array.mirror}.${block} differs: ${members[0]!.window.uuid} carries write ${other}, ${m.window.uuid} carries ${value}`);
    }
  }
}

/** Decisions against what was seen: Z1 (the last member in sync is not failed), Z3 (no membership operation with a member held). */
export function checkPlan(actions: readonly Action[], view: VolumeView): void {
  // I10: whatever needs the API, or may hang, is no company for a suspend.
  if (actions.some((a) => a.kind === "SuspendVolume") && actions.some((a) => a.kind !== "SuspendVolume" && a.kind !== "GuardVolume"))
    violated("I10", `${actions.map((a) => a.kind).join(", ")} are planned together`);
  for (const action of actions) {
    if (action.kind === "FailMember") {
      const left = view.mirrors.find((m) => m.array?.device === action.device)!.array!.members.filter((m) => m.flags.includes("in_sync") && m.device !== action.window);
      if (left.length === 0) violated("Z1", `member ${action.partitionUUID} is to be failed although it is the last one in sync`);
    }
    if (action.kind !== "RemoveMember" && action.kind !== "AddMember" && action.kind !== "ReAddMember" && action.kind !== "ShrinkMirror") continue;
    const mirror = view.mirrors.find((m) => m.array?.device === action.device);
    const held = mirror?.members.find((m) => m.inArray && !m.inArray.flags.includes("faulty") && m.connection && m.connection.state !== "live");
    if (held) violated("Z3", `${action.kind} is planned while member ${held.uuid} is held`);
  }
}

/** I2: an owner is replaced only if it is declared dead, or was not heard of for as long as the bound says when that was decided. */
export function checkClaim(w: World, actions: readonly Action[]): void {
  for (const action of actions) {
    if (action.kind !== "RecordClaim" || action.from === null) continue;
    const owner = w.nodes.find((n) => n.uid === action.from!.nodeUID)!;
    // The observer's clock may run faster than true time by what model.ts draws.
    const silent = w.nowMs - owner.heartbeatMs > 0.98 * boundsOf().leaseGoneMs;
    if (!owner.outOfService && !silent) violated("I2", `node ${owner.name}, which lives, is robbed of the volume`);
  }
}

/** I8: an unstage that succeeded left nothing. (A claim that lands late is given up by itself: liveness.) */
export function checkUnstaged(n: NodeState): void {
  const left = leftoversOf(n);
  if (left.length > 0) violated("I8", `node ${n.name} reported unstaged and still has ${left.join(", ")}`);
}
