/**
 * A deterministic model of one volume across three nodes. It drives the production planner and the
 * production record changes, node by node and step by step, through faults that a seed draws, and
 * checks the rules of design section 4 after every step (invariants.ts). When the faults stop, the
 * volume must become healthy, move, and go without a trace (liveness.ts).
 *
 *   world.ts  state    host*.ts, md.ts  the kernels    api.ts  the record    agent.ts  the loop
 *   time.ts  what happens by itself    steps.ts  one event    faults.ts  what breaks
 */
import { planHealing } from "../healing/plan-healing.ts";
import { plan } from "../plan.ts";
import { applyRecord } from "../record.ts";
import { planPublish, planUnpublish } from "../plan-publish.ts";
import { newAgent, pass } from "./agent.ts";
import { put } from "./api.ts";
import { driveID, memberBytes, nodeUID, part, PUBLISHED, STAGING, stage, unstage, volume, VOLUME_NAME, VOLUME_UID } from "./builders.ts";
import { applyAll, applyHost, losePower } from "./host.ts";
import { snapshotOf, VOLUME_DEVICE } from "./host-snapshot.ts";
import { checkUnstaged } from "./invariants.ts";
import { breakConnection } from "./md.ts";
import type { Choices } from "./choices.ts";
import { prng } from "./prng.ts";
import { seeLoss } from "./time.ts";
import type { VolumeKind } from "./kind.ts";
import { isStaged, specOf } from "./kind.ts";
import type { NodeState, PassEnd, Protocol, World } from "./world.ts";
import { BLOCKS, bootID, clockOf, latest, nodeOf, say, violated } from "./world.ts";

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
  /** A guard runs on every node, so owners promise to stop by themselves (Z16); no if left out. */
  guards?: boolean;
  /** XFS if left out. */
  kind?: VolumeKind;
  /** It grows now and then. */
  grows?: boolean;
}

/** Names of all nodes. */
export const NODES: readonly string[] = ["a", "b", "c"];

function newNode(name: string, rng: Choices): NodeState {
  return {
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
    agentDown: false,
    // Clocks of machines differ by far less; the margin of the promise covers this much.
    clock: { rate: 0.995 + 0.01 * (rng.int(1_001) / 1_000), offsetMs: rng.int(1_000_000) },
    killed: false,
    shutDown: false,
    kubeletDead: false,
    podGone: false,
    outOfService: false,
    heartbeatMs: 0,
    wants: "none",
    mayBeStaged: false,
  };
}

export function createWorld(options: ModelOptions): World {
  const rng = options.choices ?? prng(options.seed);
  const w: World = {
    protocol: { plan, record: applyRecord, host: applyHost, heal: planHealing, ...options.protocol },
    rng,
    nodes: NODES.map((name) => newNode(name, rng)),
    api: { versions: [], pending: [], cut: new Set() },
    nowMs: 0,
    sights: {},
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
    serving: 0,
    guards: options.guards ?? false,
    slowUntilMs: 0,
    wrong: {},
    trouble: 0,
  };
  const on = options.placement ?? rng.shuffle(NODES).slice(0, options.copies);
  const { kind = "xfs" } = options;
  const is = kind === "block" ? { volumeMode: "Block" as const } : { fsType: kind };
  const spec = { numberOfCopies: options.copies, drivesPerCopy: options.stripes, ...is };
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
  if (!n.up || n.agentDown || !hasStarted(w, n)) return false;
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
    if (!isStaged(w, n)) violated("I8", `node ${n.name} reported staged without a mount`);
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
  if (!n.up || n.agentDown || n.kubeletDead || n.wants === n.agent.intent.kind) return;
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
  Object.assign(n, { up: true, agentDown: false, kubeletDead: false, podGone: false, outOfService: false });
  n.agent = newAgent();
  // Kubelet may have forgotten what was staged before, or finds it again and cleans up.
  if (w.rng.chance(0.5)) Object.assign(n, { mayBeStaged: false, wants: "none" });
  say(w, `${n.name}: power on, ${bootID(n)}`);
}

export function cut(w: World, a: string, b: string, oneWay = false): void {
  say(w, `network between ${a} and ${b} cut${oneWay ? ", one way" : ""}`);
  w.cuts.add([a, b].sort().join("-"));
  for (const [host, provider] of [
    [a, b],
    [b, a],
  ] as const)
    for (const c of nodeOf(w, host).conns) if (c.provider === provider) breakConnection(w, nodeOf(w, host), c, oneWay);
}

/** The keep-alive ends: a broken connection is seen, and never comes back by itself. */
export function detectLosses(w: World): void {
  for (const n of w.nodes) for (const c of n.conns) if (c.broken) seeLoss(n, c);
}

export function pullDrive(w: World, n: NodeState, index: number): void {
  say(w, `${n.name}: drive ${index} pulled`);
  const drive = n.drives[index]!;
  drive.present = false;
  drive.incarnation += 1;
  // What still holds the old device keeps its name: the drive comes back under another.
  drive.device = `nvme${index + 2 * drive.incarnation + 100}n1`;
}

/** Publishing and unpublishing go beside the loop (agent/csi-port.ts). */
export function togglePublish(w: World, n: NodeState): void {
  const v = latest(w);
  // What is published is unpublished also where the volume was unstaged by force below it.
  if (!n.up || n.agentDown || n.kubeletDead || !(isStaged(w, n) || n.mounts.some((m) => m.published))) return;
  const targetPath = PUBLISHED;
  const { mounts } = snapshotOf(n, { name: VOLUME_NAME, uid: VOLUME_UID }, clockOf(w, n));
  const there = mounts.some((m) => m.target === targetPath);
  const publish = planPublish(mounts, n.volumeDevice ? VOLUME_DEVICE : null, specOf(w), { volumeID: v?.metadata.name ?? "", stagingPath: STAGING, targetPath, readOnly: false });
  const action = there ? planUnpublish(mounts, targetPath) : publish.action;
  if (!action || (action.kind !== "MountPublish" && action.kind !== "BindDevice" && action.kind !== "UnmountPublish")) return;
  applyAll(w, n, action);
  w.trace.push({ node: n.name, kind: action.kind });
  say(w, `${n.name}: ${action.kind}`);
}

export function deleteVolume(w: World): void {
  const v = latest(w);
  if (!v || v.metadata.deletionTimestamp) return;
  say(w, "volume deleted");
  put(w, { ...v, metadata: { ...v.metadata, deletionTimestamp: "2026-11-20T11:00:00Z" } });
}
