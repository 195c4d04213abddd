/**
 * The model's state: one volume, a few nodes, the record in the API. Everything that the planner sees
 * (HostSnapshot) and everything it does not see (what is on the drives, requests under way) as plain data.
 */
import { MeshStorError } from "../../base/errors.ts";
import type { ErrorCode } from "../../base/errors.ts";
import type { MeshStorVolume, VolumeStatus } from "../../api/volume.ts";
import type { Action, ActionKind, HostAction } from "../action.ts";
import type { HostSnapshot } from "../observed.ts";
import type { Healing, HealingInput } from "../healing/input.ts";
import type { Sights } from "../healing/sight.ts";
import type { Intent, Plan, PlanInput } from "../plan.ts";
import type { applyRecord } from "../record.ts";
import type { Session } from "../session.ts";
import type { Choices } from "./choices.ts";
import type { DriveState, Part } from "./drive-state.ts";
import type { Wrong } from "./mutation.ts";

export { type DriveState, FOREIGN, type Label, type Part, type Superblock } from "./drive-state.ts";

/** Blocks of one mirror; each is also one chunk of the write-intent bitmap. */
export const BLOCKS = 4;

/** A request that left its host and has not reached the drive. */
export interface LateRequest {
  block: number;
  phase: "bitmap" | "data";
  value: number;
}

export interface ExportState {
  nqn: string;
  part: Part;
  drive: DriveState;
  /** Kernel name and incarnation of the drive when it was made. */
  device: string;
  incarnation: number;
  epoch: number;
  attach: number;
  hostNQN: string;
  ready: boolean;
  late: LateRequest[];
}

export interface ConnState {
  slot: number;
  nqn: string;
  uuid: string;
  epoch: number;
  attach: number;
  provider: string;
  export: ExportState;
  /** What sysfs shows. */
  state: "live" | "connecting";
  /** The path does not work any more, seen or not; since when. */
  broken: boolean;
  brokenAtMs: number;
  /** Deleted on the host. */
  gone: boolean;
}

export interface WindowState {
  slot: number;
  sizeBytes: number;
  uuid: string;
  epoch: number;
  part: Part;
  conn: ConnState | null;
  drive: DriveState | null;
  incarnation: number;
}

export interface ArrayMember {
  window: WindowState;
  inSync: boolean;
  faulty: boolean;
  /** MD failed it by itself: an error reached it (the named residual of I1). */
  kicked: boolean;
  writeMostly: boolean;
  /** Blocks still to be copied to it. */
  todo: Set<number>;
}

export interface WriteState {
  block: number;
  value: number;
  phase: "bitmap" | "data";
  /** Members that have not answered. */
  waiting: Set<string>;
  /** Whoever began it was killed: nobody hears how it ends. */
  orphan?: boolean;
}

export interface ArrayState {
  slot: number;
  arrayUUID: string;
  mirror: number;
  epoch: number;
  raidDisks: number;
  bitmap: Set<number>;
  sizeBytes: number;
  members: ArrayMember[];
  writes: WriteState[];
  recovering: boolean;
  /** An operation is under way, or was ended half-way: nothing is rebuilt (mdadm, sysfs_freeze_array). */
  frozen: boolean;
}

export interface Job {
  key: string;
  action: HostAction & { why: string };
}

/** Where a pass stands between two steps; an agent can die at any of them. */
export interface Point {
  moment: "planned" | "before" | "within" | "after";
  kind: string;
}

export interface PassEnd {
  intent: Intent;
  plan: Plan | null;
  error: MeshStorError | null;
}

/** What a pass under way remembers between two steps: with its point, all that tells it from another. */
export interface PassMemory {
  /** The record that it goes by, and until when that may be relied on. */
  volume: MeshStorVolume;
  freshUntil: number;
  /** What it had seen of its kernel when it planned. */
  host: HostSnapshot;
  /** Its batch, in the order in which it is carried out. */
  batch: readonly Action[];
  failed: boolean;
  /** Steps since it planned. */
  steps: number;
}

export interface AgentState {
  session: Session;
  intent: Intent;
  /** Version of the record that its watch has delivered; -1 before its first read. */
  cache: number;
  /** What it saw last of its kernel; nothing was done on the host since. */
  seen: { host: HostSnapshot; atMs: number } | null;
  pass: Generator<Point, PassEnd> | null;
  point: Point | null;
  memory: PassMemory | null;
  last: PassEnd | null;
  jobs: Job[];
  /** Members that this process recorded out after it saw the loss (Z2). */
  bumped: Set<string>;
  /** Heartbeats of others: the last one seen, and since when by its own clock; null while it cannot see any. */
  heard: Map<string, { mark: number; atMs: number }> | null;
}

export interface NodeState {
  name: string;
  uid: string;
  boot: number;
  up: boolean;
  drives: DriveState[];
  exports: ExportState[];
  conns: ConnState[];
  windows: WindowState[];
  arrays: ArrayState[];
  volumeDevice: VolumeDeviceState | null;
  mounts: { target: string; published: boolean }[];
  agent: AgentState;
  /** Nobody starts it again for now. */
  agentDown: boolean;
  /** Its monotonic clock: rate against true time, and where it began. */
  clock: { rate: number; offsetMs: number };
  /** Users of the volume were killed, its filesystem was shut down (I4), since it was mounted. */
  killed: boolean;
  shutDown: boolean;
  /** Kubelet does not run; the pod is gone although its mounts are there. */
  kubeletDead: boolean;
  podGone: boolean;
  /** Carries the taint; in the model only while the machine is off. */
  outOfService: boolean;
  /** True time at which its heartbeat was written last. */
  heartbeatMs: number;
  /** What kubelet wants of this node; survives its agent. */
  wants: "none" | "stage" | "unstage";
  /** Kubelet asked to stage and has not yet seen an unstage succeed. */
  mayBeStaged: boolean;
}

export interface VolumeDeviceState {
  sizeBytes: number;
  below: ArrayState[];
  suspended: boolean;
  /** Its table fails every request. */
  failed: boolean;
  /** The process that outlives the agent: what it watches, and when, in true time, all of it was live last. */
  guard: { nqns: string[]; liveAtMs: number; graceMs: number } | null;
}

export interface PendingPut {
  over: number;
  status: VolumeStatus;
  from: string;
  landed: boolean;
}

export interface Api {
  /** Every version of the volume; null once it is gone. */
  versions: (MeshStorVolume | null)[];
  /** Writes on their way: each lands only over the version that it replaces. */
  pending: PendingPut[];
  /** Nodes that do not reach it. */
  cut: Set<string>;
}

/** The code under test. Production code, unless a planted fault stands in its place (sim/mutations). */
export interface Protocol {
  plan(input: PlanInput, w: World, n: NodeState): Plan;
  record: typeof applyRecord;
  host(w: World, n: NodeState, action: HostAction): Generator<void, void>;
  /** The controller's. */
  heal(input: HealingInput): Healing;
}

export interface World {
  protocol: Protocol;
  rng: Choices;
  nodes: NodeState[];
  api: Api;
  nowMs: number;
  /** What the controller has seen, and since when (core/healing/sight.ts). */
  sights: Sights;
  /** Last write acknowledged, or value read, of every block: what R must carry (L1). */
  acked: number[][];
  nextWrite: number;
  nextID: number;
  cuts: Set<string>;
  /** Node UID that each epoch belongs to. */
  epochOwner: Map<number, string>;
  exported: Set<string>;
  connected: Set<string>;
  everMounted: boolean;
  /** What was carried out, in order. */
  trace: { node: string; kind: ActionKind }[];
  /** Where agents died: `moment:kind`. */
  crashed: string[];
  /** Steps of agents so far, and the one at which the agent dies. */
  steps: number;
  killAt: number | null;
  /** Arrays started, by array and epoch: each assembly takes a new epoch (I2). */
  started: Set<string>;
  /** Lines are made when somebody reads them. */
  log: { nowMs: number; line: string | (() => string) }[];
  /** Highest epoch in which an array has run: whoever serves an older one serves the past (I10). */
  serving: number;
  /** Owners promise to stop by themselves: a guard runs on every node (Z16). */
  guards: boolean;
  /** Until then every step takes seconds. */
  slowUntilMs: number;
  /** Deliberately wrong variants, for tests of the checks. */
  wrong: Wrong;
  /** Chance that a host action fails half-way, or that an answer of the API is lost. */
  trouble: number;
}

/** The protocol broke a rule. */
export class Violation extends Error {
  readonly rule: string;
  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`);
    this.rule = rule;
  }
}

export function violated(rule: string, message: string): never {
  throw new Violation(rule, message);
}

export function hostError(code: ErrorCode, message: string): MeshStorError {
  return new MeshStorError(code, message);
}

export function say(w: World, line: string | (() => string)): void {
  w.log.push({ nowMs: w.nowMs, line });
}

export function nodeOf(w: World, name: string): NodeState {
  const node = w.nodes.find((n) => n.name === name);
  if (!node) throw new Error(`no node ${name}`);
  return node;
}

export function latest(w: World): MeshStorVolume | null {
  return w.api.versions.at(-1) ?? null;
}

export function statusOf(w: World): VolumeStatus {
  return latest(w)?.status ?? {};
}

/** A node's own monotonic clock. */
export function clockOf(w: World, n: NodeState): number {
  return w.nowMs * n.clock.rate + n.clock.offsetMs;
}

/** Somebody uses the volume on this node. */
export function hasUsers(n: NodeState): boolean {
  return n.mounts.length > 0 && !n.killed && !n.shutDown && n.volumeDevice?.failed !== true;
}

export function bootID(n: NodeState): string {
  return `boot-${n.name}-${n.boot}`;
}

export function partsOf(n: NodeState): Part[] {
  return n.drives.flatMap((d) => d.parts);
}

export function findPart(w: World, uuid: string): Part | undefined {
  for (const n of w.nodes) for (const d of n.drives) for (const p of d.parts) if (p.uuid === uuid) return p;
  return undefined;
}

export function isCut(w: World, a: string, b: string): boolean {
  return w.cuts.has([a, b].sort().join("-"));
}

/** First number that nothing in the list uses: kernel names come back, as on a real kernel. */
export function freeSlot(used: readonly { slot: number }[]): number {
  let slot = 0;
  while (used.some((u) => u.slot === slot)) slot += 1;
  return slot;
}
