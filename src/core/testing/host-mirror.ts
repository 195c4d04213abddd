/** Host actions on mirrors and on the volume above them, in the model. */
import type { HostAction } from "../action.ts";
import { arrayDevice, windowDevice } from "./host-snapshot.ts";
import { isReleasedByForce } from "./host-fence.ts";
import { checkSize } from "./member-size.ts";
import { flush, inSyncMembers, markFaulty, pathOf, raiseEvents, settleWrites } from "./md.ts";
import type { ArrayMember, ArrayState, NodeState, WindowState, World } from "./world.ts";
import { BLOCKS, freeSlot, hostError, statusOf, violated } from "./world.ts";

type Steps = Generator<void, void>;
type Of<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;
type MirrorKind = "CreateMirror" | "AssembleMirror" | "FailMember" | "RemoveMember" | "ReAddMember" | "AddMember" | "ShrinkMirror" | "SetWriteMostly" | "StopMirror";

export function* applyMirrorAction(w: World, n: NodeState, action: Of<MirrorKind>): Steps {
  switch (action.kind) {
    case "CreateMirror":
      return yield* createMirror(w, n, action);
    case "AssembleMirror":
      return assembleMirror(w, n, action);
    case "FailMember":
      return failMember(w, n, action);
    case "RemoveMember":
      return removeMember(w, n, action);
    case "ReAddMember":
      return yield* reAddMember(w, n, action);
    case "AddMember":
      return yield* addMember(w, n, action);
    case "ShrinkMirror":
      return shrinkMirror(w, n, action);
    case "SetWriteMostly": {
      const { m } = memberOf(n, action.device, action.window);
      if (m) m.writeMostly = action.writeMostly;
      return;
    }
    case "StopMirror":
      return stopMirror(w, n, action);
  }
}

function windowsOf(n: NodeState, members: { partitionUUID: string }[]): WindowState[] {
  return members.map((m) => {
    const win = n.windows.find((x) => x.uuid === m.partitionUUID);
    if (!win) throw hostError("CommandFailed", `member ${m.partitionUUID} has no window`);
    if (pathOf(win) !== "live") throw hostError("CommandTimedOut", `member ${m.partitionUUID} does not answer`);
    return win;
  });
}

export function arrayOf(n: NodeState, device: string): ArrayState {
  const array = n.arrays.find((a) => arrayDevice(a) === device);
  if (!array) throw hostError("CommandFailed", `${device} is not there`);
  return array;
}

function memberOf(n: NodeState, device: string, window: string): { array: ArrayState; m: ArrayMember | undefined } {
  const array = arrayOf(n, device);
  return { array, m: array.members.find((x) => windowDevice(x.window) === window) };
}

function start(w: World, n: NodeState, mirror: number, windows: WindowState[]): void {
  const sb = windows[0]!.part.superblock!;
  const members = windows.map((window): ArrayMember => ({ window, inSync: true, faulty: false, kicked: false, writeMostly: window.conn !== null, todo: new Set() }));
  const epoch = windows[0]!.epoch;
  for (const win of windows) checkSize({ mirror, sizeBytes: sb.sizeBytes }, win.sizeBytes, win.uuid);
  const name = `${sb.arrayUUID} in epoch ${epoch}`;
  if (w.started.has(name)) violated("I2", `array ${name} is started a second time`);
  w.started.add(name);
  w.serving = Math.max(w.serving, epoch);
  Object.assign(n, { killed: false, shutDown: false });
  // A start writes superblocks (the first write marks the array dirty): who is not there stays behind in events. Seen in the lab (history 6).
  for (const window of windows) if (pathOf(window) === "live") window.part.superblock!.events += 1;
  n.arrays.push({
    slot: freeSlot(n.arrays),
    arrayUUID: sb.arrayUUID,
    mirror,
    epoch,
    raidDisks: sb.raidDisks,
    bitmap: new Set(sb.bitmap),
    sizeBytes: sb.sizeBytes,
    members,
    writes: [],
    recovering: false,
    frozen: false,
  });
}

function* createMirror(w: World, n: NodeState, action: Of<"CreateMirror">): Steps {
  if (n.arrays.some((a) => a.arrayUUID === action.arrayUUID)) return;
  const windows = windowsOf(n, action.members);
  if (w.everMounted) violated("I6", `mirror ${action.mirror} is made although the volume was mounted before`);
  for (const win of windows) if (win.part.content.some((value) => value !== 0)) violated("I7", `mirror ${action.mirror} is made on ${win.uuid}, which does not read as zeroes`);
  for (const win of windows) {
    win.part.superblock = { arrayUUID: action.arrayUUID, events: 0, raidDisks: action.slots, bitmap: new Set(), rebuilding: false, sizeBytes: action.sizeBytes };
    yield;
  }
  windowsOf(n, action.members);
  start(w, n, action.mirror, windows);
}

function assembleMirror(w: World, n: NodeState, action: Of<"AssembleMirror">): void {
  if (n.arrays.some((a) => a.arrayUUID === action.arrayUUID)) return;
  const windows = windowsOf(n, action.members);
  for (const win of windows) {
    if (win.part.superblock?.arrayUUID !== action.arrayUUID) throw hostError("Unsafe", `member ${win.uuid} is not of array ${action.arrayUUID}`);
    if (!statusOf(w).mirrors?.[action.mirror]?.inSync.includes(win.uuid)) violated("I3", `mirror ${action.mirror} is assembled with ${win.uuid}, which is not in R`);
  }
  const [first] = windows;
  if (windows.some((win) => win.part.superblock!.events !== first!.part.superblock!.events))
    throw hostError("Unsafe", `mdadm leaves members of mirror ${action.mirror} out: their event counts differ`);
  for (const win of windows)
    if (win.part.content.some((value, i) => value !== first!.part.content[i]))
      violated("I3", `mirror ${action.mirror} starts with members that differ: ${windows.map((x) => `${x.uuid.slice(0, 4)}=${x.part.content.join(",")}`).join(" ")}`);
  start(w, n, action.mirror, windows);
}

function failMember(w: World, n: NodeState, action: Of<"FailMember">): void {
  const { array, m } = memberOf(n, action.device, action.window);
  if (!m || m.faulty) return;
  if (!isReleasedByForce(w, n)) {
    if (statusOf(w).mirrors?.[array.mirror]?.inSync.includes(m.window.uuid)) violated("I1", `member ${m.window.uuid} is failed while R names it`);
    if (!n.agent.bumped.has(m.window.uuid)) violated("Z2", `member ${m.window.uuid} is failed without a record by this process`);
    checkLabels(w, array, m);
  }
  if (!markFaulty(array, m)) throw hostError("Unsafe", `member ${m.window.uuid} is the last one in sync: it is not failed (Z1)`);
  if (m.todo.size === 0) array.recovering = false;
  raiseEvents(array);
  settleWrites(w, array);
}

/** Z20: whoever stays carries the generation of the record that let this one go. */
function checkLabels(w: World, array: ArrayState, leaving: ArrayMember): void {
  const mirror = statusOf(w).mirrors?.[array.mirror];
  for (const m of array.members) {
    if (m === leaving || !mirror?.inSync.includes(m.window.uuid) || m.faulty || pathOf(m.window) !== "live") continue;
    const { label } = m.window.part;
    if (label === "foreign" || label?.epoch !== array.epoch || label.generation < mirror.generation)
      violated("Z20", `a loss is released while survivor ${m.window.uuid} carries an older label than generation ${mirror.generation}`);
  }
}

/** Z3: MD suspends the array and waits for all I/O; with a held member that does not end. */
export function quiet(w: World, array: ArrayState, except?: ArrayMember): void {
  if (array.members.some((m) => m !== except && !m.faulty && pathOf(m.window) === "held"))
    throw hostError("CommandTimedOut", `mirror ${array.mirror} waits for a member that is held`);
  if (!flush(w, array)) throw hostError("CommandTimedOut", `mirror ${array.mirror} has writes that do not end`);
}

function removeMember(w: World, n: NodeState, action: Of<"RemoveMember">): void {
  const { array, m } = memberOf(n, action.device, action.window);
  if (!m) return;
  if (!m.faulty) throw hostError("CommandFailed", `${action.window} is not faulty`);
  quiet(w, array, m);
  array.members.splice(array.members.indexOf(m), 1);
  raiseEvents(array);
}

function joinable(n: NodeState, action: { device: string; window: string; partitionUUID: string }): { array: ArrayState; win: WindowState; there: boolean } {
  const { array, m } = memberOf(n, action.device, action.window);
  const win = n.windows.find((x) => windowDevice(x) === action.window && x.uuid === action.partitionUUID);
  if (!win) throw hostError("CommandFailed", `${action.window} is not the window of ${action.partitionUUID}`);
  if (m?.faulty) throw hostError("CommandFailed", `${action.window} is still in ${action.device} as faulty`);
  return { array, win, there: m !== undefined };
}

function takeIn(array: ArrayState, window: WindowState, todo: Set<number>): ArrayMember {
  checkSize(array, window.sizeBytes, window.uuid);
  const m = { window, inSync: false, faulty: false, kicked: false, writeMostly: false, todo };
  array.members.push(m);
  raiseEvents(array);
  return m;
}

function* reAddMember(w: World, n: NodeState, action: Of<"ReAddMember">): Steps {
  const { array, win, there } = joinable(n, action);
  if (there) return;
  const own = win.part.superblock;
  const survivor = array.members.find((m) => windowDevice(m.window) === action.survivorWindow);
  if (own?.arrayUUID !== array.arrayUUID || own.rebuilding) throw hostError("Unsafe", `the bitmap of ${win.uuid} says nothing`);
  if (own.sizeBytes < array.sizeBytes) throw hostError("Unsafe", `the superblock of ${win.uuid} is of a smaller array`);
  if (!survivor || !survivor.inSync || survivor.faulty) throw hostError("Unsafe", `${action.survivorWindow} is not in sync`);
  if (array.members.filter((m) => !m.faulty).length >= array.raidDisks) throw hostError("Unsafe", `${action.device} has no vacant slot`);
  if (pathOf(win) !== "live") throw hostError("CommandTimedOut", `member ${win.uuid} does not answer`);
  quiet(w, array);
  const union = new Set(w.wrong.bareReAdd ? array.bitmap : [...array.bitmap, ...own.bitmap]);
  array.bitmap = union;
  for (const m of array.members) if (m.window.part.superblock && pathOf(m.window) === "live") m.window.part.superblock.bitmap = new Set(union);
  own.raidDisks = array.raidDisks;
  const m = takeIn(array, win, new Set(union));
  array.frozen = true;
  yield;
  array.frozen = false;
  m.writeMostly = !action.local;
}

function* addMember(w: World, n: NodeState, action: Of<"AddMember">): Steps {
  const { array, win, there } = joinable(n, action);
  if (!there) {
    if (pathOf(win) !== "live") throw hostError("CommandTimedOut", `member ${win.uuid} does not answer`);
    if (win.part.content.some((value) => value < 0)) violated("I7", `member ${win.uuid} is added before it was zeroed`);
    quiet(w, array);
    win.part.superblock = null;
    yield;
    if (!n.arrays.includes(array) || !n.windows.includes(win)) throw hostError("CommandFailed", "the array is gone");
    quiet(w, array);
    win.part.superblock = { arrayUUID: array.arrayUUID, events: 0, raidDisks: array.raidDisks, bitmap: new Set(), rebuilding: true, sizeBytes: array.sizeBytes };
    takeIn(array, win, new Set(Array.from({ length: BLOCKS }, (_, i) => i)));
    array.frozen = true;
    yield;
  }
  if (action.growTo !== null && array.raidDisks < action.growTo) {
    quiet(w, array);
    setSlots(array, action.growTo);
    array.frozen = true;
    yield;
  }
  array.frozen = false;
  const added = array.members.find((m) => m.window === win);
  if (added) added.writeMostly = !action.local;
}

function setSlots(array: ArrayState, slots: number): void {
  array.raidDisks = slots;
  for (const m of array.members) if (m.window.part.superblock && !m.faulty) m.window.part.superblock.raidDisks = slots;
}

function shrinkMirror(w: World, n: NodeState, action: Of<"ShrinkMirror">): void {
  const array = arrayOf(n, action.device);
  if (array.raidDisks <= action.slots) return;
  if (array.members.length > action.slots || array.recovering) throw hostError("CommandFailed", `${action.device} has no vacant slot to lose`);
  // MD waits for all that is under way (raid1.c, freeze_array): no chunk that is being written is taken for clean.
  quiet(w, array);
  setSlots(array, action.slots);
  if (inSyncMembers(array).length === action.slots) array.bitmap.clear();
}

function stopMirror(w: World, n: NodeState, action: Of<"StopMirror">): void {
  const array = n.arrays.find((a) => arrayDevice(a) === action.device);
  if (!array) return;
  if (n.volumeDevice?.below.includes(array)) throw hostError("CommandFailed", `${action.device} is in use`);
  // A member that is lost meanwhile holds the stop up, or the last superblock does not reach it.
  if (!flush(w, array) || (!array.members.every((m) => m.faulty || pathOf(m.window) === "live") && w.rng.chance(0.5)))
    throw hostError("CommandTimedOut", `${action.device} does not stop`);
  raiseEvents(array);
  n.arrays.splice(n.arrays.indexOf(array), 1);
}
