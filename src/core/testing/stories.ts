/** Whole lives of a volume, without chance: told once, and again with an agent killed at every single step. */
import { MiB } from "../../base/units.ts";
import { NEIGHBOUR } from "./builders.ts";
import { grow } from "./controller.ts";
import { cut, deleteVolume, detectLosses, powerOff, powerOn, pullDrive, togglePublish } from "./model.ts";
import { stageOn, unstageEverywhere, until } from "./liveness.ts";
import { submit } from "./md.ts";
import { isStaged, rest, rounds, stepAll, write } from "./scenes.ts";
import type { NodeState, World } from "./world.ts";
import { latest, partsOf } from "./world.ts";

/** Used, deleted, and nothing left anywhere. */
export function deleteWithoutATrace(w: World): void {
  unstageEverywhere(w);
  deleteVolume(w);
  until(w, "a volume deleted without a trace", () => latest(w) === null && w.nodes.every((n) => partsOf(n).length === 0 && n.exports.length === 0));
}

/** The next connection of a node dies before its member joins an array. */
function loseNextConnection(w: World, n: NodeState): void {
  for (let i = 0; i < 300 && !n.conns.some((c) => !c.broken); i += 1) stepAll(w);
  for (const c of n.conns) c.broken = true;
}

/** In use on a; b loses power and returns, at the second attempt; everything is given back. */
export function lossAndReturn(w: World): void {
  const [a, b] = [w.nodes[0]!, w.nodes[1]!];
  stageOn(w, a);
  togglePublish(w, a);
  write(w, a);
  rest(w, a);
  powerOff(w, b);
  detectLosses(w);
  write(w, a);
  rounds(w, 6, 2_000);
  powerOn(w, b);
  loseNextConnection(w, a);
  write(w, a);
  rest(w, a);
  // Somebody turned the preference for the local member off by hand.
  for (const m of a.arrays[0]?.members ?? []) m.writeMostly = false;
  rest(w, a);
  deleteWithoutATrace(w);
}

/** From a to c, which has no copy and gets one; c loses power under load and starts again by itself. */
export function handOverAndReboot(w: World): void {
  const [a, c] = [w.nodes[0]!, w.nodes[2]!];
  stageOn(w, a);
  write(w, a);
  rest(w, a);
  unstageEverywhere(w);
  stageOn(w, c);
  write(w, c);
  rest(w, c);
  powerOff(w, c);
  powerOn(w, c);
  stageOn(w, c);
  write(w, c);
  rest(w, c);
  deleteWithoutATrace(w);
}

/** The owner is cut off from everybody with requests under way; b takes over; the former owner stops, and its copy comes back. */
export function takeoverAndReturn(w: World): void {
  const [a, b] = [w.nodes[0]!, w.nodes[1]!];
  stageOn(w, a);
  togglePublish(w, a);
  write(w, a);
  rest(w, a);
  for (const array of a.arrays) submit(w, array, 2);
  isolate(w, a);
  for (const array of a.arrays) submit(w, array, 3);
  b.wants = "stage";
  until(w, "staged on node b", () => isStaged(b), { ms: 2_000 });
  write(w, b);
  w.api.cut.clear();
  w.cuts.clear();
  rest(w, b);
  deleteWithoutATrace(w);
}

/** The network is cut between a node and everybody else, the API included. */
export function isolate(w: World, n: NodeState): void {
  w.api.cut.add(n.name);
  for (const other of w.nodes) if (other !== n) cut(w, n.name, other.name);
}

/** Cut off for a while, and back before anybody takes over: suspended, resumed, recorded out, brought back. */
export function isolatedForAWhile(w: World): void {
  const [a] = [w.nodes[0]!];
  stageOn(w, a);
  rest(w, a);
  isolate(w, a);
  rounds(w, 8);
  w.api.cut.clear();
  w.cuts.clear();
  rest(w, a);
  deleteWithoutATrace(w);
}

/** A drive is missing when the volume is made, so that it starts with one copy; it is back too late for this volume. */
export function driveMissingAtFirst(w: World): void {
  const [a, b] = [w.nodes[0]!, w.nodes[1]!];
  pullDrive(w, b, 0);
  rounds(w, 3);
  b.drives[0]!.present = true;
  stageOn(w, a);
  write(w, a);
  deleteWithoutATrace(w);
}

/** The volume grows in place, and again where one of its partitions has a neighbour: that one moves; an agent may die anywhere. */
export function growsTwice(w: World): void {
  const [a] = [w.nodes[0]!];
  stageOn(w, a);
  togglePublish(w, a);
  write(w, a);
  rest(w, a);
  grow(w, 64 * MiB);
  rest(w, a);
  write(w, a, 2);
  neighbour(a);
  grow(w, 64 * MiB);
  rest(w, a);
  write(w, a);
  for (const drive of a.drives) drive.parts = drive.parts.filter((p) => !p.uuid.startsWith(NEIGHBOUR));
  deleteWithoutATrace(w);
}

/** Something of another volume lies behind each partition of the node. */
export function neighbour(n: NodeState): void {
  for (const drive of n.drives)
    for (const part of drive.parts.filter((p) => !p.uuid.startsWith(NEIGHBOUR))) {
      const startBytes = part.startBytes + part.sizeBytes;
      if (drive.parts.some((p) => p.startBytes < startBytes + MiB && startBytes < p.startBytes + p.sizeBytes)) continue;
      const number = 1 + Math.max(...drive.parts.map((p) => p.number));
      drive.parts.push({
        ...part,
        uuid: `${NEIGHBOUR}-0000-4000-8000-${part.uuid.slice(-12)}`,
        number,
        startBytes,
        sizeBytes: MiB,
        content: [],
        label: "foreign",
        superblock: null,
      });
    }
}
