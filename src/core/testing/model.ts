/**
 * A deterministic model of one volume across three nodes. It drives the production planner and the
 * production record changes, node by node and step by step, through faults that a seed draws, and
 * checks the rules of design section 4 after every step (invariants.ts). When the faults stop, the
 * volume must become healthy, move, and go without a trace (liveness.ts).
 *
 *   world.ts  state    host*.ts, md.ts  the kernels    api.ts  the record    agent.ts  the loop    user.ts  the rest
 */
import { plan } from "../plan.ts";
import { endJob, newAgent, pass } from "./agent.ts";
import { landPut, put } from "./api.ts";
import { driveID, memberBytes, nodeUID, part, STAGING, stage, unstage, volume } from "./builders.ts";
import { applyRecord } from "../record.ts";
import { applyHost, dropConnection, losePower } from "./host.ts";
import { checkUnstaged, checkWorld } from "./invariants.ts";
import { breakConnection, land, markFaulty, read, settleWrites, stepRecovery, stepWrite, submit } from "./md.ts";
import type { Choices } from "./choices.ts";
import { prng } from "./prng.ts";
import { deleteVolume, togglePublish } from "./user.ts";
import type { NodeState, PassEnd, Protocol, World } from "./world.ts";
import { BLOCKS, bootID, nodeOf, say, violated } from "./world.ts";

export interface ModelOptions {
  seed: number;
  copies: number;
  stripes: number;
  /** Nodes that hold a copy at first; drawn if left out. */
  placement?: string[];
  /** Draws instead of the seed. */
  choices?: Choices;
  /** Planted faults, in the place of production code. */
  protocol?: Partial<Protocol>;
}

/** Names of all nodes. */
export const NODES: readonly string[] = ["a", "b", "c"];

export function createWorld(options: ModelOptions): World {
  const rng = options.choices ?? prng(options.seed);
  const w: World = {
    protocol: { plan, record: applyRecord, host: applyHost, ...options.protocol },
    rng,
    nodes: NODES.map((name) => ({
      name,
      uid: nodeUID(name),
      boot: 1,
      up: true,
      drives: [0, 1].map((i) => ({ id: driveID(name, i), device: `nvme${i}n1`, present: true, incarnation: 0, parts: [] })),
      exports: [],
      conns: [],
      windows: [],
      arrays: [],
      volumeDevice: null,
      mounts: [],
      agent: newAgent(),
      wants: "none",
      mayBeStaged: false,
    })),
    api: { versions: [], pending: [], cut: new Set() },
    nowMs: 0,
    acked: Array.from({ length: options.stripes }, () => Array.from({ length: BLOCKS }, () => 0)),
    nextWrite: 1,
    nextID: 0,
    cuts: new Set(),
    epochOwner: new Map(),
    exported: new Set(),
    connected: new Set(),
    everMounted: false,
    trace: [],
    crashed: [],
    steps: 0,
    killAt: null,
    started: new Set(),
    log: [],
    trouble: 0,
  };
  const on = options.placement ?? rng.shuffle(NODES).slice(0, options.copies);
  const spec = { numberOfCopies: options.copies, drivesPerCopy: options.stripes };
  const base = volume({}, spec, { creationTimestamp: "2026-11-20T10:00:00Z" });
  const partitions = on.flatMap((node) =>
    Array.from({ length: options.stripes }, (_, mirror) => ({
      partitionUUID: part(node, mirror),
      nodeID: node,
      drive: driveID(node, mirror),
      mirror,
      state: "Requested" as const,
      sizeBytes: memberBytes(base),
      updatedAt: "2026-11-20T10:00:00Z",
    })),
  );
  put(w, { ...base, status: { partitions } });
  return w;
}

/** A new agent reads everything once before it does anything. */
function hasStarted(w: World, n: NodeState): boolean {
  if (n.agent.cache < 0 && !w.api.cut.has(n.name)) n.agent.cache = w.api.versions.length - 1;
  return n.agent.cache >= 0;
}

/** One step of a node's agent: to the next point at which it could die. False if it is down. */
export function stepAgent(w: World, n: NodeState): boolean {
  const { agent } = n;
  if (!n.up || !hasStarted(w, n)) return false;
  agent.pass ??= pass(w, n);
  if (agent.memory) agent.memory.steps += 1;
  const step = agent.pass.next();
  agent.point = step.done ? null : step.value;
  w.steps += 1;
  if (w.steps === w.killAt) {
    killAgent(w, n);
    return true;
  }
  if (!step.done) return true;
  agent.pass = null;
  agent.memory = null;
  agent.last = step.value;
  passEnded(w, n, step.value);
  return true;
}

/** Kubelet learns how its call went. */
function passEnded(w: World, n: NodeState, end: PassEnd): void {
  if (end.error || !end.plan?.done || end.intent !== n.agent.intent) return;
  if (end.intent.kind === "stage") {
    if (!n.mounts.some((m) => m.target === STAGING)) violated("I8", `node ${n.name} reported staged without a mount`);
    say(w, `${n.name}: staged`);
  } else if (end.intent.kind === "unstage") {
    checkUnstaged(n);
    say(w, `${n.name}: unstaged`);
    n.mayBeStaged = false;
  }
  n.agent.intent = { kind: "none" };
  n.wants = "none";
}

/** Kubelet asks again for what it wants, also after its agent has restarted. */
export function kubeletAsks(n: NodeState): void {
  if (!n.up || n.wants === n.agent.intent.kind) return;
  n.agent.intent = n.wants === "stage" ? stage : n.wants === "unstage" ? unstage : { kind: "none" };
  if (n.wants === "stage") n.mayBeStaged = true;
}

export function killAgent(w: World, n: NodeState): void {
  const { point } = n.agent;
  if (point && point.kind !== "") w.crashed.push(`${point.moment}:${point.kind}`);
  for (const job of n.agent.jobs) w.crashed.push(`within:${job.action.kind}`);
  say(w, `${n.name}: agent killed ${point ? `${point.moment} ${point.kind}` : "between passes"}`);
  n.agent = newAgent();
}

export function powerOff(w: World, n: NodeState): void {
  say(w, `${n.name}: power off`);
  losePower(w, n);
  n.agent = newAgent();
}

export function powerOn(w: World, n: NodeState): void {
  n.boot += 1;
  n.up = true;
  n.agent = newAgent();
  // Kubelet may have forgotten what was staged before, or finds it again and cleans up.
  if (w.rng.chance(0.5)) Object.assign(n, { mayBeStaged: false, wants: "none" });
  say(w, `${n.name}: power on, ${bootID(n)}`);
}

export function cut(w: World, a: string, b: string): void {
  say(w, `network between ${a} and ${b} cut`);
  w.cuts.add([a, b].sort().join("-"));
  for (const [host, provider] of [
    [a, b],
    [b, a],
  ] as const)
    for (const c of nodeOf(w, host).conns) if (c.provider === provider) breakConnection(w, nodeOf(w, host), c);
}

/** The keep-alive ends: a broken connection is seen, and never comes back by itself. */
export function detectLosses(w: World): void {
  for (const n of w.nodes)
    for (const c of n.conns)
      if (c.broken && c.state === "live") {
        c.state = "connecting";
        // The loss watch drops what was seen before.
        n.agent.seen = null;
      }
}

export function pullDrive(w: World, n: NodeState, index: number): void {
  say(w, `${n.name}: drive ${index} pulled`);
  const drive = n.drives[index]!;
  drive.present = false;
  drive.incarnation += 1;
  // What still holds the old device keeps its name: the drive comes back under another.
  drive.device = `nvme${index + 2 * drive.incarnation + 100}n1`;
}

/** A few steps of one agent, at most to the end of its pass. */
function stepBurst(w: World, n: NodeState): void {
  for (let i = w.rng.int(6); i >= 0 && stepAgent(w, n) && n.agent.pass; i -= 1);
}

/** The application and MD go on by one step somewhere. */
function stepData(w: World): void {
  const arrays = w.nodes.flatMap((n) => n.arrays.map((array) => ({ n, array })));
  if (arrays.length === 0) return;
  const { n, array } = w.rng.pick(arrays);
  const mounted = n.mounts.length > 0;
  const block = w.rng.int(BLOCKS);
  const dice = w.rng.int(10);
  if (dice < 2 && mounted && !array.writes.some((x) => x.block === block)) submit(w, array, block);
  else if (dice < 3 && mounted) read(w, array, block);
  else if (dice < 5) stepRecovery(w, array);
  else if (array.writes.length > 0) {
    const write = w.rng.pick(array.writes);
    const waiting = [...write.waiting];
    if (waiting.length > 0) stepWrite(w, array, write, w.rng.pick(waiting));
  }
  settleWrites(w, array);
}

function stepLate(w: World): void {
  const exports = w.nodes.flatMap((n) => n.exports).filter((e) => e.late.length > 0 && e.drive.present && e.drive.incarnation === e.incarnation);
  if (exports.length > 0 && w.rng.chance(0.5)) {
    const e = w.rng.pick(exports);
    return land(w, e, w.rng.int(e.late.length));
  }
  const orphans = w.api.pending.filter((p) => !w.nodes.some((n) => n.name === p.from && n.agent.point?.moment === "within"));
  if (orphans.length === 0) return;
  const pending = w.rng.pick(orphans);
  if (w.rng.chance(0.5)) w.api.pending = w.api.pending.filter((p) => p !== pending);
  else if (landPut(w, pending)) say(w, `a late write of ${pending.from} lands as version ${w.api.versions.length - 1}`);
}

function stepKubelet(w: World, n: NodeState): void {
  const dice = w.rng.int(10);
  const staged = w.nodes.some((x) => x.mounts.length > 0);
  if (dice < 4 && n.wants === "none" && (!staged || dice === 0)) n.wants = "stage";
  else if (dice < 5) n.wants = n.mayBeStaged ? "unstage" : "none";
  else if (dice < 6) n.wants = n.wants === "unstage" ? "stage" : "none";
  else if (dice < 8) togglePublish(w, n);
  else if (dice < 9 && w.rng.chance(0.1)) deleteVolume(w);
  kubeletAsks(n);
}

/** An agent dies, rather in the middle of something than at rest. */
function killInAction(w: World, n: NodeState): void {
  if (!n.up) return;
  for (let i = 1 + w.rng.int(8); i > 0 && (n.agent.point?.kind ?? "") === ""; i -= 1) stepAgent(w, n);
  for (let i = w.rng.int(3); i > 0; i -= 1) stepAgent(w, n);
  killAgent(w, n);
}

/** Something breaks. */
export function fault(w: World): void {
  const n = w.rng.pick(w.nodes);
  const other = w.rng.pick(w.nodes);
  const dice = w.rng.int(40) / 2;
  if (dice < 7) return killInAction(w, n);
  if (dice < 11) return n.up ? powerOff(w, n) : undefined;
  if (dice < 13) return n === other ? undefined : cut(w, n.name, other.name);
  if (dice < 15) return pullDrive(w, n, w.rng.int(2));
  if (dice < 16) {
    const cutOff = w.rng.chance(0.5) ? w.nodes : [n];
    for (const x of cutOff) w.api.cut.add(x.name);
    return say(w, `${cutOff.map((x) => x.name).join(", ")}: the API is out of reach`);
  }
  if (dice < 16.5) return removeByHand(w, n);
  const inUse = n.conns.find((x) => n.arrays.some((a) => a.members.some((m) => m.window.conn === x)));
  if (dice < 17) {
    if (!inUse) return;
    say(w, `${n.name}: a connection deleted by hand`);
    return dropConnection(w, n, inUse);
  }
  const c = inUse ?? n.conns[0];
  if (!c) return;
  say(w, `${n.name}: a connection breaks`);
  breakConnection(w, n, c);
}

/** A person fails a member and takes it out of the array, behind our back (the residual of I1 again). */
function removeByHand(w: World, n: NodeState): void {
  const array = n.arrays[0];
  const m = array && w.rng.pick(array.members);
  if (!array || !m || m.faulty || !markFaulty(array, m)) return;
  say(w, `${n.name}: member ${m.window.uuid.slice(0, 4)} failed and removed by hand`);
  m.kicked = true;
  settleWrites(w, array);
  if (array.writes.length === 0) array.members.splice(array.members.indexOf(m), 1);
}

/** Something that broke is mended. */
function recover(w: World): void {
  if (w.api.cut.size === 0 && w.cuts.size === 0 && w.nodes.every((n) => n.up && n.drives.every((d) => d.present))) return;
  const mends: (() => void)[] = w.nodes.filter((n) => !n.up).map((n) => () => powerOn(w, n));
  if (w.cuts.size > 0) mends.push(() => (say(w, "networks healed"), w.cuts.clear()));
  if (w.api.cut.size > 0) mends.push(() => (say(w, "the API is in reach"), w.api.cut.clear()));
  for (const drive of w.nodes.flatMap((n) => n.drives)) if (!drive.present) mends.push(() => (say(w, `drive ${drive.id} is back`), (drive.present = true)));
  if (mends.length > 0) w.rng.pick(mends)();
}

/** One event, drawn by weight; then everything that must hold is looked at. */
export function step(w: World): void {
  w.nowMs += w.rng.int(400);
  const dice = w.rng.int(100);
  const n = w.rng.pick(w.nodes);
  if (dice < 60) stepBurst(w, n);
  else if (dice < 78) for (let i = w.rng.int(4); i >= 0; i -= 1) stepData(w);
  else if (dice < 83) endJob(w, n);
  else if (dice < 89) n.agent.cache += w.api.cut.has(n.name) || n.agent.cache < 0 ? 0 : w.rng.int(w.api.versions.length - n.agent.cache);
  else if (dice < 94) detectLosses(w);
  else if (dice < 96) stepLate(w);
  else if (dice < 98) stepKubelet(w, n);
  else recover(w);
  checkWorld(w);
}
