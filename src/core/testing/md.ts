/** MD RAID1 of the model: writes, what holds them, recovery, bitmap. Adverse where the kernel gives no promise. */
import type { ArrayMember, ArrayState, ConnState, DriveState, NodeState, Part, WindowState, World, WriteState } from "./world.ts";
import { findPart, say, statusOf, violated } from "./world.ts";

/** live: answers. held: the request waits. error: it fails at once, and MD hears of it. */
export type PathState = "live" | "held" | "error";

export function connState(c: ConnState): PathState {
  if (c.gone) return "error";
  if (c.state !== "live" || c.broken) return "held";
  const { drive, incarnation, part } = c.export;
  return drive.parts.includes(part) ? driveState(drive, incarnation) : "error";
}

export function driveState(drive: DriveState, incarnation: number): PathState {
  return drive.present && drive.incarnation === incarnation ? "live" : "error";
}

export function pathOf(win: WindowState): PathState {
  return win.conn ? connState(win.conn) : driveState(win.drive!, win.incarnation);
}

export function inSyncMembers(array: ArrayState): ArrayMember[] {
  return array.members.filter((m) => m.inSync && !m.faulty);
}

export function degradedBy(array: ArrayState): number {
  return array.raidDisks - inSyncMembers(array).length;
}

/** Marks a member faulty as the kernel does: never the last one in sync. Returns whether it did. */
export function markFaulty(array: ArrayState, m: ArrayMember): boolean {
  const others = inSyncMembers(array).filter((x) => x !== m);
  if (m.inSync && others.length === 0) return false;
  m.faulty = true;
  m.todo.clear();
  return true;
}

/** The array changed: its superblock, and with it the bitmap (core/sizes.ts), is written to everyone who answers. */
export function raiseEvents(array: ArrayState): void {
  const events = 1 + Math.max(...array.members.map((m) => m.window.part.superblock?.events ?? 0));
  for (const m of array.members) {
    const { superblock } = m.window.part;
    if (!m.faulty && pathOf(m.window) === "live" && superblock) Object.assign(superblock, { events, bitmap: new Set(array.bitmap) });
  }
}

/** A write of the application enters the mirror. */
export function submit(w: World, array: ArrayState, block: number): WriteState {
  const value = w.nextWrite++;
  array.bitmap.add(block);
  const write: WriteState = { block, value, phase: "bitmap", waiting: new Set(activeMembers(array).map((m) => m.window.uuid)) };
  array.writes.push(write);
  say(w, `write ${value} of block ${array.mirror}.${block} begins`);
  return write;
}

function activeMembers(array: ArrayState): ArrayMember[] {
  return array.members.filter((m) => !m.faulty);
}

function carryOut(part: Part, phase: "bitmap" | "data", block: number, value: number): void {
  if (phase === "data") part.content[block] = value;
  else part.superblock?.bitmap.add(block);
}

/** One member's part of one write, if its path answers; then whatever has become possible. */
export function stepWrite(w: World, array: ArrayState, write: WriteState, uuid: string): void {
  const m = array.members.find((x) => x.window.uuid === uuid);
  if (m && !m.faulty) {
    const path = pathOf(m.window);
    if (path === "held") return;
    if (path === "live") {
      carryOut(m.window.part, write.phase, write.block, write.value);
      write.waiting.delete(uuid);
    }
  }
  settleWrites(w, array);
}

/** An error reaches MD: it goes on without the member, unless that is the last one. */
export function mdError(w: World, array: ArrayState, m: ArrayMember): void {
  if (m.faulty || !markFaulty(array, m)) return;
  m.kicked = true;
  raiseEvents(array);
  say(w, `MD fails member ${m.window.uuid.slice(0, 4)} by itself`);
}

/** Drops what faulty members will never answer, moves writes on, acknowledges. */
export function settleWrites(w: World, array: ArrayState): void {
  for (const write of [...array.writes]) {
    for (const uuid of [...write.waiting]) {
      const m = array.members.find((x) => x.window.uuid === uuid);
      if (m && pathOf(m.window) === "error") mdError(w, array, m);
      if (m && !m.faulty && pathOf(m.window) === "error") failWrite(w, array, write);
      // A remote member's requests end with its connection (Z1), a local one's with the failure.
      if (!m || (m.faulty && (m.kicked || !m.window.conn || m.window.conn.gone))) write.waiting.delete(uuid);
    }
    if (write.waiting.size > 0 || !array.writes.includes(write)) continue;
    if (write.phase === "bitmap") {
      write.phase = "data";
      write.waiting = new Set(activeMembers(array).map((m) => m.window.uuid));
    } else acknowledge(w, array, write);
  }
}

/** The last member in sync answers with an error, and so does MD. */
function failWrite(w: World, array: ArrayState, write: WriteState): void {
  const at = array.writes.indexOf(write);
  if (at < 0) return;
  array.writes.splice(at, 1);
  say(w, `write ${write.value} of block ${array.mirror}.${write.block} fails`);
}

function acknowledge(w: World, array: ArrayState, write: WriteState): void {
  const host = w.nodes.find((n) => n.arrays.includes(array));
  if (write.orphan || host?.killed || host?.shutDown) {
    // I4: it ends, and nobody is alive to hear of it.
    array.writes.splice(array.writes.indexOf(write), 1);
    return say(w, `write ${write.value} of block ${array.mirror}.${write.block} ends after its users`);
  }
  const R = [...(statusOf(w).mirrors?.[array.mirror]?.inSync ?? []), ...aboutToBeRecorded(w, host, array)];
  // The named residual of I1 is left out: while MD went on by itself with a recorded member failed, nothing is acknowledged.
  if (R.some((uuid) => !array.members.some((m) => m.window.uuid === uuid && !m.kicked))) return;
  // The same on a former owner, whose R the record names no more: it is on every member that MD has not failed, the new owner's among them.
  if (array.epoch < w.serving && array.members.some((m) => m.kicked)) return;
  array.writes.splice(array.writes.indexOf(write), 1);
  if (array.epoch < w.serving) checkLateAnswer(w, array, write);
  w.acked[array.mirror]![write.block] = Math.max(w.acked[array.mirror]![write.block]!, write.value);
  say(w, `write ${write.value} of block ${array.mirror}.${write.block} is acknowledged`);
  if (degradedBy(array) === 0) clearBits(array, [write.block]);
}

/** Joining members that the owner saw in sync and is about to record, or that a write on its way names: whoever fails one behind its back then meets the same residual. */
function aboutToBeRecorded(w: World, host: NodeState | undefined, array: ArrayState): string[] {
  const joining = (statusOf(w).partitions ?? []).filter((p) => p.state === "Syncing").map((p) => p.partitionUUID);
  const looks = [host?.agent.memory?.host, host?.agent.seen?.host].flatMap((look) => (look?.mirrors ?? []).filter((m) => m.arrayUUID === array.arrayUUID));
  const seen = looks.flatMap((m) => m.members.filter((x) => x.flags.includes("in_sync")).map((x) => x.partitionUUID));
  const underWay = w.api.pending.filter((p) => p.over === w.api.versions.length - 1).flatMap((p) => p.status.mirrors?.[array.mirror]?.inSync ?? []);
  return joining.filter((uuid) => seen.includes(uuid) || underWay.includes(uuid));
}

/**
 * I4: a former owner may still hear of a write that every other member had carried out before it was cut off, when its own
 * member answers late; whatever is told, the new epoch has it.
 */
function checkLateAnswer(w: World, array: ArrayState, write: WriteState): void {
  for (const uuid of statusOf(w).mirrors?.[array.mirror]?.inSync ?? [])
    if ((findPart(w, uuid)?.content[write.block] ?? 0) < write.value)
      violated("I4", `write ${write.value} is acknowledged in epoch ${array.epoch}, and is not on ${uuid} of epoch ${w.serving}`);
}

/** MD clears bits only while no slot is vacant; here it does so as early as it may. */
function clearBits(array: ArrayState, blocks: Iterable<number>): void {
  for (const block of blocks) {
    if (array.writes.some((x) => x.block === block)) continue;
    array.bitmap.delete(block);
    for (const m of inSyncMembers(array)) if (pathOf(m.window) === "live") m.window.part.superblock?.bitmap.delete(block);
  }
}

/** One step of the recovery: it begins, copies a block, or ends. False if nothing moves. */
export function stepRecovery(w: World, array: ArrayState): boolean {
  const target = array.members.find((m) => !m.inSync && !m.faulty);
  const slots = array.members.filter((m) => !m.faulty).length <= array.raidDisks;
  if (!target || !slots || array.frozen) {
    array.recovering = false;
    return false;
  }
  if (!array.recovering) {
    array.recovering = true;
    return true;
  }
  if (pathOf(target.window) === "error") {
    mdError(w, array, target);
    array.recovering = false;
    return true;
  }
  const source = inSyncMembers(array).find((m) => pathOf(m.window) === "live");
  if (!source || pathOf(target.window) !== "live") return false;
  const block = [...target.todo].find((b) => !array.writes.some((x) => x.block === b));
  if (block !== undefined) {
    target.window.part.content[block] = source.window.part.content[block]!;
    target.todo.delete(block);
    return true;
  }
  if (target.todo.size > 0) return false;
  endRecovery(w, array, target);
  return true;
}

function endRecovery(w: World, array: ArrayState, target: ArrayMember): void {
  target.inSync = true;
  array.recovering = false;
  raiseEvents(array);
  if (target.window.part.superblock) target.window.part.superblock.rebuilding = false;
  say(w, `member ${target.window.uuid.slice(0, 4)} is in sync`);
  if (degradedBy(array) === 0) clearBits(array, [...array.bitmap]);
}

/** Everything under way ends, if it can (an unmount, a stop, adding a member wait for this). */
export function flush(w: World, array: ArrayState): boolean {
  for (let round = 0; round < 4 && array.writes.length > 0; round += 1) {
    settleWrites(w, array);
    for (const write of [...array.writes]) for (const uuid of [...write.waiting]) if (array.writes.includes(write)) stepWrite(w, array, write, uuid);
  }
  return array.writes.length === 0;
}

/** The application reads a block where no write is under way; what it saw once must never go back (I3). */
export function read(w: World, array: ArrayState, block: number): void {
  if (array.writes.some((x) => x.block === block)) return;
  if (array.epoch < w.serving) violated("I10", `block ${array.mirror}.${block} is read in epoch ${array.epoch}, after epoch ${w.serving} began`);
  const sources = inSyncMembers(array).filter((m) => pathOf(m.window) === "live");
  if (sources.length === 0) return;
  const value = w.rng.pick(sources).window.part.content[block]!;
  const floor = w.acked[array.mirror]![block]!;
  if (value < floor) violated("L1", `a read of block ${array.mirror}.${block} gave write ${value} after ${floor}`);
  w.acked[array.mirror]![block] = value;
}

/** A connection that breaks leaves requests under way: they reach the drive late, or never; if only the way back is cut, all of them do. */
export function breakConnection(w: World, host: NodeState, c: ConnState, oneWay = false): void {
  if (c.broken || c.gone) return;
  c.broken = true;
  c.brokenAtMs = w.nowMs;
  for (const array of host.arrays)
    for (const write of array.writes)
      if (write.waiting.has(c.uuid) && (oneWay || w.rng.chance(0.5))) c.export.late.push({ block: write.block, phase: write.phase, value: write.value });
}

/** One late request reaches the drive behind the export. */
export function land(w: World, e: { part: Part; late: { block: number; phase: "bitmap" | "data"; value: number }[] }, index: number): void {
  const [request] = e.late.splice(index, 1);
  if (!request) return;
  say(w, `late ${request.phase} of write ${request.value} reaches ${e.part.uuid.slice(0, 4)}`);
  carryOut(e.part, request.phase, request.block, request.value);
}
