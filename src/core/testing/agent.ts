/**
 * The agent of the model: agent/reconcile.ts as a generator, so that every step of every node can be
 * interleaved with everything else, and the process can die at each of them.
 */
import { exportNQN } from "../../api/names.ts";
import type { MeshStorVolume } from "../../api/volume.ts";
import { MeshStorError } from "../../base/errors.ts";
import type { Action, HostAction, RecordAction } from "../action.ts";
import { ALL_RECORD_KINDS } from "../action.ts";
import type { HostSnapshot } from "../observed.ts";
import type { Intent, Plan, PlanInput } from "../plan.ts";
import { boundsOf, promiseOf } from "../bounds.ts";
import { afterLook } from "../look.ts";
import { FRESH_KINDS } from "../plan.ts";
import { afterFailure as failed, afterJoinFailure, afterSuccess, EMPTY_SESSION, jobKey, lossKey } from "../session.ts";
import type { VolumeView } from "../view.ts";
import { throughOf, viewVolume } from "../view.ts";
import { compareAndSwap } from "./api.ts";
import { checkClaim, checkPlan } from "./invariants.ts";
import { snapshotOf, tablesOf } from "./host-snapshot.ts";
import type { AgentState, NodeState, PassEnd, Point, World } from "./world.ts";
import { peersOf } from "./time.ts";
import { bootID, clockOf, latest, say, Violation } from "./world.ts";

const BOUNDS = boundsOf();
const MAX_BATCHES = 60;
const FRESH_MS = 2_000;

export function newAgent(): AgentState {
  return { session: EMPTY_SESSION, intent: { kind: "none" }, cache: -1, seen: null, pass: null, point: null, memory: null, last: null, jobs: [], bumped: new Set(), heard: null };
}

export function identityOf(n: NodeState): PlanInput["me"] {
  return { nodeName: n.name, nodeUID: n.uid, bootID: bootID(n), address: `10.0.0.${n.name.charCodeAt(0) - 96}`, port: 4420 };
}

/** One pass over the volume; see agent/reconcile.ts. */
export function* pass(w: World, n: NodeState): Generator<Point, PassEnd> {
  let volume: MeshStorVolume | null = w.api.versions[n.agent.cache] ?? null;
  let freshUntil = -1;
  let last: { intent: Intent; plan: Plan | null } = { intent: n.agent.intent, plan: null };
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    try {
      if (volume === null) volume = readVolume(w, n);
      if (volume === null) return { ...gone(n), error: null };
      const host = look(w, n, volume);
      const me = identityOf(n);
      const view = viewVolume(volume, host, me);
      n.agent.session = afterLook(n.agent.session, view, host.takenAtMs);
      const input = inputFor(w, n, volume, host);
      const planned = w.protocol.plan(input, w, n);
      const next = w.wrong.plan ? w.wrong.plan(planned) : planned;
      last = { intent: input.intent, plan: next };
      if (next.actions.length === 0) return { ...last, error: null };
      if (w.nowMs > freshUntil && next.actions.some((a) => FRESH_KINDS.has(a.kind))) {
        volume = readVolume(w, n);
        freshUntil = w.nowMs + FRESH_MS;
        continue;
      }
      checkPlan(next.actions, view);
      checkClaim(w, next.actions);
      n.agent.memory = { volume, freshUntil, host, batch: next.actions, failed: false, steps: 0 };
      yield { moment: "planned", kind: "" };
      const done = yield* applyBatch(w, n, next.actions, view, volume);
      if (done.error) return { ...last, error: done.error };
      if (done.volume) {
        volume = done.volume;
        freshUntil = w.nowMs + FRESH_MS;
      }
      if (done.onlyJobs) return { ...last, error: null };
    } catch (error) {
      if (error instanceof Violation) throw error;
      return { ...last, error: asModelError(error) };
    }
  }
  return { ...last, error: null };
}

/** All that the planner is given. */
export function inputFor(w: World, n: NodeState, volume: MeshStorVolume, host: HostSnapshot): PlanInput {
  const { intent, session } = n.agent;
  const promiseMs = w.guards ? promiseOf(BOUNDS) : null;
  const input: PlanInput = {
    volume,
    host,
    me: identityOf(n),
    intent,
    session,
    tables: tablesOf(n),
    nowMs: clockOf(w, n),
    peers: peersOf(w, n),
    bounds: BOUNDS,
    promiseMs,
    unattended: n.kubeletDead && n.podGone,
  };
  return w.wrong.input ? w.wrong.input(input) : input;
}

/** agent/snapshots.ts: one look serves for a while, until this node does something on its host. */
function look(w: World, n: NodeState, volume: MeshStorVolume): HostSnapshot {
  const { seen } = n.agent;
  const maxAgeMs = n.agent.intent.kind === "none" ? 1_000 : 300;
  if (seen && w.nowMs - seen.atMs < maxAgeMs && w.rng.chance(0.7)) return seen.host;
  const host = snapshotOf(n, { name: volume.metadata.name, uid: volume.metadata.uid! }, clockOf(w, n));
  n.agent.seen = { host, atMs: w.nowMs };
  return host;
}

/** A mistake of the model or the planner is not an error of the host. */
function asModelError(error: unknown): MeshStorError {
  if (error instanceof MeshStorError) return error;
  throw error;
}

function readVolume(w: World, n: NodeState): MeshStorVolume | null {
  if (w.api.cut.has(n.name)) throw new MeshStorError("ApiUnavailable", "the API does not answer");
  return latest(w);
}

function gone(n: NodeState): { intent: Intent; plan: Plan } {
  const { intent } = n.agent;
  const refusal = intent.kind === "stage" ? { code: "VolumeNotFound" as const, message: "the volume does not exist" } : null;
  return { intent, plan: { actions: [], waits: [], done: intent.kind === "unstage", refusal } };
}

interface BatchEnd {
  volume: MeshStorVolume | null;
  error: MeshStorError | null;
  onlyJobs: boolean;
}

function* applyBatch(w: World, n: NodeState, actions: Action[], view: VolumeView, volume: MeshStorVolume): Generator<Point, BatchEnd> {
  const records = actions.filter(isRecord);
  const host = actions.filter((a): a is HostAction & { why: string } => !isRecord(a) && jobKey(a) === null);
  for (const action of actions) if (jobKey(action) !== null) startJob(w, n, action as HostAction & { why: string });
  let failed: MeshStorError | null = null;
  const order = w.rng.shuffle(host);
  n.agent.memory = { ...n.agent.memory!, batch: [...order, ...records] };
  for (const action of order) {
    try {
      yield* applyOne(w, n, action);
    } catch (error) {
      if (error instanceof Violation) throw error;
      failed ??= afterFailure(w, n, action, asModelError(error));
      n.agent.memory.failed = true;
    }
  }
  if (failed) return { volume: null, error: failed, onlyJobs: false };
  let current: MeshStorVolume | null = null;
  for (const action of records) {
    try {
      current = yield* applyRecordAction(w, n, action, view, current ?? volume);
    } catch (error) {
      if (error instanceof Violation) throw error;
      say(w, `${n.name}: ${action.kind} ${describe(action)} failed: ${asModelError(error).message}`);
      return { volume: null, error: asModelError(error), onlyJobs: false };
    }
  }
  return { volume: current, error: null, onlyJobs: host.length === 0 && records.length === 0 };
}

function* applyOne(w: World, n: NodeState, action: HostAction & { why: string }): Generator<Point, void> {
  yield { moment: "before", kind: action.kind };
  n.agent.seen = null;
  const steps = w.protocol.host(w, n, action);
  while (!steps.next().done) yield { moment: "within", kind: action.kind };
  w.trace.push({ node: n.name, kind: action.kind });
  say(w, () => `${n.name}: ${action.kind} ${describe(action)}`);
  yield { moment: "after", kind: action.kind };
  n.agent.session = afterSuccess(n.agent.session, action, { epoch: 0, nowMs: clockOf(w, n), losses: [] });
}

function afterFailure(w: World, n: NodeState, action: HostAction & { why: string }, error: MeshStorError): MeshStorError {
  say(w, `${n.name}: ${action.kind} ${describe(action)} failed: ${error.message}`);
  n.agent.session = failed(n.agent.session, action, error.code, clockOf(w, n));
  return error;
}

function startJob(w: World, n: NodeState, action: HostAction & { why: string }): void {
  const key = jobKey(action)!;
  n.agent.session = { ...n.agent.session, jobs: [...n.agent.session.jobs, key] };
  n.agent.jobs.push({ key, action });
  say(w, `${n.name}: ${action.kind} begins`);
}

/** Zeroing and wiping end some time later; if the agent dies meanwhile they stop where they are. */
export function endJob(w: World, n: NodeState): void {
  const job = n.agent.jobs.shift();
  if (!job) return;
  n.agent.session = { ...n.agent.session, jobs: n.agent.session.jobs.filter((j) => j !== job.key) };
  n.agent.seen = null;
  try {
    for (const steps = w.protocol.host(w, n, job.action); !steps.next().done;);
  } catch (error) {
    if (error instanceof Violation) throw error;
    return say(w, `${n.name}: ${job.action.kind} failed: ${asModelError(error).message}`);
  }
  w.trace.push({ node: n.name, kind: job.action.kind });
  say(w, `${n.name}: ${job.action.kind} ended`);
  n.agent.session = afterSuccess(n.agent.session, job.action, { epoch: 0, nowMs: 0, losses: [] });
}

function* applyRecordAction(w: World, n: NodeState, action: RecordAction & { why: string }, view: VolumeView, volume: MeshStorVolume): Generator<Point, MeshStorVolume> {
  yield { moment: "before", kind: action.kind };
  const me = identityOf(n);
  const ids = Array.from({ length: Math.max(1, volume.spec.drivesPerCopy) }, () => newID(w));
  const { nodeName, nodeUID } = me;
  const promiseMs = w.guards ? promiseOf(BOUNDS) : null;
  const context = { me: { nodeName, nodeUID, bootID: me.bootID }, epoch: view.epoch, promiseMs, address: me.address, port: me.port, now: isoNow(w), ids };
  const standing = yield* compareAndSwap(w, n.name, action, context);
  n.agent.memory!.volume = standing;
  w.trace.push({ node: n.name, kind: action.kind });
  say(w, () => `${n.name}: ${action.kind} ${describe(action)}`);
  yield { moment: "after", kind: action.kind };
  remember(w, n, action, view, standing);
  return standing;
}

function remember(w: World, n: NodeState, action: RecordAction & { why: string }, view: VolumeView, written: MeshStorVolume): void {
  const { agent } = n;
  const leaving = action.kind === "RecordOut" || action.kind === "RecordRetire" ? action.members : [];
  const losses = leaving.map((m) => lossKey(m.partitionUUID, throughOf(view.members.find((v) => v.uuid === m.partitionUUID)!)));
  const nqn = action.kind === "RecordExport" ? { nqn: exportNQN(action) } : {};
  const interrupted = leaving.filter((m) => agent.session.joining.includes(m.partitionUUID));
  agent.session = afterSuccess(agent.session, action, { epoch: written.status?.epoch ?? 0, nowMs: clockOf(w, n), losses, ...nqn });
  for (const m of interrupted) agent.session = afterJoinFailure(agent.session, m.partitionUUID, clockOf(w, n), false);
  for (const m of leaving) agent.bumped.add(m.partitionUUID);
  if (action.kind === "RecordJoining") agent.bumped.delete(action.member.partitionUUID);
  if (action.kind === "RecordClaim") agent.bumped.clear();
}

export function isoNow(w: World): string {
  return new Date(1_800_000_000_000 + w.nowMs).toISOString();
}

export function newID(w: World): string {
  w.nextID += 1;
  return `${String(w.nextID).padStart(8, "0")}-0000-4000-8000-000000000000`;
}

function isRecord(action: Action): action is RecordAction & { why: string } {
  return (ALL_RECORD_KINDS as readonly string[]).includes(action.kind);
}

/** An action's arguments for a person: partition UUIDs shortened, the sentence left out. */
function describe(action: Action): string {
  const { kind: _kind, why: _why, ...rest } = action;
  return JSON.stringify(rest).replaceAll(/([0-9a-f]{8})-[0-9a-f-]{27}/g, "$1");
}
