/** When faults stop: the volume starts where it is asked for, becomes healthy, moves, stops and goes without a trace. */
import { endJob } from "./agent.ts";
import { landPut } from "./api.ts";
import { stepController } from "./controller.ts";
import { leftoversOf } from "./host.ts";
import { checkWorld } from "./invariants.ts";
import { flush, stepRecovery, submit } from "./md.ts";
import { revive } from "./faults.ts";
import { deleteVolume, detectLosses, kubeletAsks, powerOff, powerOn, stepAgent, togglePublish } from "./model.ts";
import { advance } from "./time.ts";
import { isStaged } from "./kind.ts";
import type { MeshStorVolume } from "../../api/volume.ts";
import { mustGrow, sizeInUse, specInUse } from "../growth.ts";
import { mirrorSize } from "../sizes.ts";
import type { NodeState, World } from "./world.ts";
import { NEIGHBOUR } from "./builders.ts";
import { BLOCKS, latest, partsOf, say, statusOf, violated } from "./world.ts";

/** Most steps of one pass; a pass that needs more never ends. */
const PASS_STEPS = 2_000;

/** Everyone gets a turn: news arrive, passes run to their end, drives and networks answer. */
export function round(w: World, ms: number): void {
  advance(w, ms);
  detectLosses(w);
  stepController(w);
  for (const n of w.rng.shuffle(w.nodes)) {
    n.agent.cache = w.api.versions.length - 1;
    kubeletAsks(n);
    for (let i = 0; stepAgent(w, n) && n.agent.pass; i += 1) {
      if (i > PASS_STEPS) violated("liveness", `a pass of node ${n.name} does not end`);
      checkWorld(w);
    }
    while (n.agent.jobs.length > 0) endJob(w, n);
    for (const array of n.arrays) {
      flush(w, array);
      for (let i = 0; i < 2 * BLOCKS && stepRecovery(w, array); i += 1);
    }
    checkWorld(w);
  }
}

/** Rounds until it holds; otherwise the last thing each node said. */
export function until(w: World, what: string, holds: () => boolean, options: { rounds?: number; ms?: number } = {}): void {
  for (let i = 0; i < (options.rounds ?? 80); i += 1) {
    if (holds()) return;
    round(w, options.ms ?? 2_500);
  }
  if (holds()) return;
  const said = w.nodes.map((n) => `${n.name}: ${n.agent.last?.error?.message ?? n.agent.last?.plan?.refusal?.message ?? n.agent.last?.plan?.waits[0] ?? "nothing"}`);
  violated("liveness", `${what} does not come about; ${said.join("; ")}`);
}

export function healEverything(w: World): void {
  say(w, "all faults end");
  w.trouble = 0;
  w.api.cut.clear();
  w.cuts.clear();
  w.slowUntilMs = 0;
  for (const n of w.nodes) for (const drive of n.drives) drive.present = true;
  for (const n of w.nodes) if (!n.up) powerOn(w, n);
  for (const n of w.nodes) if (n.agentDown || n.kubeletDead) revive(w, n);
  for (const pending of [...w.api.pending]) if (w.rng.chance(0.5)) landPut(w, pending);
  w.api.pending = w.api.pending.filter((p) => w.nodes.some((n) => n.name === p.from && n.agent.point?.moment === "within"));
}

/** A node where kubelet may have the volume gives it up; what is held for ever is stopped by force (I8, I4). */
export function unstageEverywhere(w: World): void {
  for (const n of w.nodes) {
    for (let i = 0; n.mounts.some((m) => m.published); i += 1) {
      if (i > 9) violated("liveness", `${n.name} cannot unpublish`);
      togglePublish(w, n);
    }
    n.wants = n.mayBeStaged ? "unstage" : "none";
  }
  const staged = (): NodeState[] => w.nodes.filter((n) => n.mayBeStaged);
  until(w, "unstaged everywhere", () => staged().length === 0 && statusOf(w).owner === undefined);
}

export function stageOn(w: World, n: NodeState): void {
  n.wants = "stage";
  until(w, `staged on node ${n.name}`, () => n.wants === "none" && isStaged(w, n));
}

export function isHealthy(w: World, owner: NodeState): boolean {
  const v = latest(w)!;
  const { mirrors = [], partitions = [] } = statusOf(w);
  if (w.nodes.some((n) => n.agent.pass !== null || (n.agent.last?.plan?.actions.length ?? 0) > 0 || n.agent.last?.error)) return false;
  if (mirrors.length === 0 || owner.arrays.length !== mirrors.length) return false;
  if (owner.volumeDevice?.suspended || statusOf(w).former !== undefined) return false;
  if (partitions.some((p) => p.state !== "Synced")) return false;
  const avoided = v.spec.avoidNodes ?? [];
  const slots = Math.max(2, v.spec.numberOfCopies);
  return (
    mirrors.every((m) => m.inSync.length === v.spec.numberOfCopies) &&
    hasGrown(v, owner) &&
    partitions.length === v.spec.numberOfCopies * v.spec.drivesPerCopy &&
    partitions.every((p) => !avoided.includes(p.nodeID)) &&
    (avoided.includes(owner.name) || partitions.some((p) => p.nodeID === owner.name)) &&
    owner.arrays.every((a) => a.raidDisks === slots && a.members.length === v.spec.numberOfCopies && a.members.every((m) => m.inSync && m.writeMostly === (m.window.conn !== null)))
  );
}

/** What is built is as big as what is wanted. */
function hasGrown(v: MeshStorVolume, { arrays, volumeDevice }: NodeState): boolean {
  return !mustGrow(v) && arrays.every((a) => a.sizeBytes === mirrorSize(specInUse(v))) && volumeDevice?.sizeBytes === sizeInUse(v);
}

/** One node away does not keep a volume from starting while R has another member in reach; it comes back later. */
function stageWithoutOne(w: World, owner: NodeState): void {
  const away = w.rng.pick(w.nodes.filter((n) => n !== owner));
  owner.wants = "stage";
  // The absent node leaves at any moment of the start: also after it announced its export.
  for (let i = w.rng.int(60); i > 0; i -= 1) {
    kubeletAsks(owner);
    stepAgent(w, w.rng.pick(w.nodes));
    for (const n of w.nodes) n.agent.cache = w.api.versions.length - 1;
  }
  for (const n of w.nodes) endJob(w, n);
  powerOff(w, away);
  const staged = () => owner.wants === "none" && isStaged(w, owner);
  // A node that leaves between "the others are recorded out" and the start of the one member chosen takes the last good copy with it.
  const hopeless = () => {
    const { mirrors = [], partitions = [] } = statusOf(w);
    return mirrors.length === 0 || mirrors.some((m) => m.inSync.every((uuid) => partitions.some((p) => p.partitionUUID === uuid && p.nodeID === away.name)));
  };
  until(w, `staged on node ${owner.name} without node ${away.name}`, () => staged() || hopeless());
  powerOn(w, away);
  round(w, 5_000);
  // It held the last good copy while the volume was in use already: what is held ends with the pod (I4).
  if (owner.mounts.length > 0 && owner.agent.last?.plan?.waits.some((s) => s.startsWith("writes are held"))) unstageEverywhere(w);
}

/** Every partition of a mirror failed before the first use: the controller, which is not here, would find another place. */
function isStillborn(w: World): boolean {
  const { mirrors, partitions = [] } = statusOf(w);
  const made = new Set(partitions.filter((p) => p.state !== "Faulty" && p.state !== "Deleting").map((p) => p.mirror));
  return mirrors === undefined && partitions.some((p) => !made.has(p.mirror));
}

/** The whole way from wherever the faults left the volume to nothing. */
export function checkLiveness(w: World): void {
  healEverything(w);
  unstageEverywhere(w);
  if (latest(w) && !latest(w)!.metadata.deletionTimestamp && !isStillborn(w)) {
    const owner = w.rng.pick(w.nodes);
    if (w.rng.chance(0.5)) stageWithoutOne(w, owner);
    if (!isStaged(w, owner)) stageOn(w, owner);
    until(w, "a healthy volume", () => isHealthy(w, owner), { ms: 10_000 });
    for (const array of owner.arrays) for (let block = 0; block < BLOCKS; block += 1) if (!array.writes.some((x) => x.block === block)) submit(w, array, block);
    round(w, 1_000);
    if (owner.arrays.some((a) => a.writes.length > 0)) violated("liveness", "writes of a healthy volume do not end");
    unstageEverywhere(w);
  }
  deleteVolume(w);
  until(
    w,
    "a volume deleted without a trace",
    () => latest(w) === null && w.nodes.every((n) => partsOf(n).every((p) => p.uuid.startsWith(NEIGHBOUR)) && n.exports.length === 0 && leftoversOf(n).length === 0),
  );
}
