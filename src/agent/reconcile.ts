/**
 * One pass over one volume: observe → plan → apply one batch, again until the plan is empty.
 * Everything that decides is in core/plan.ts; this file reads, writes and remembers.
 */
import type { MeshStorVolume } from "../api/volume.ts";
import { exportNQN } from "../api/names.ts";
import type { ErrorCode } from "../base/errors.ts";
import { asMeshStorError, MeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Action, HostAction, RecordAction } from "../core/action.ts";
import { ALL_RECORD_KINDS } from "../core/action.ts";
import type { DriveTable } from "../core/observed.ts";
import type { Intent, Plan, PlanInput } from "../core/plan.ts";
import { FRESH_KINDS, plan } from "../core/plan.ts";
import { afterLook, type LiveAt } from "../core/look.ts";
import type { Session } from "../core/session.ts";
import { afterFailure, afterJoinFailure, afterSuccess, EMPTY_SESSION, jobKey, lossKey } from "../core/session.ts";
import type { VolumeView } from "../core/view.ts";
import { throughOf, viewVolume } from "../core/view.ts";
import type { KubeClient } from "../kube/client.ts";
import { VOLUMES } from "../kube/resources.ts";
import { Announced } from "./announced.ts";
import { writeRecord } from "./apply-record.ts";
import type { Clock, HostPort, StepHook, TakeoverPort } from "./ports.ts";
import type { Snapshots } from "./snapshots.ts";

/** Most batches in one pass; a volume that needs more goes on in the next one. */
const MAX_BATCHES = 60;
/** A snapshot of the host that is no older serves a pass whose last batch did nothing on the host. */
const SNAPSHOT_MS = 300;
/** The same where nothing is asked of this node: at rest all volumes are looked at together. A loss drops what was seen. */
const REST_SNAPSHOT_MS = 1_000;
/** A linearizable read serves the decisions of this time, then it is made anew (I2). */
const FRESH_MS = 2_000;

export interface ReconcileDeps {
  client: KubeClient;
  host: HostPort;
  snapshots: Snapshots;
  clock: Clock;
  hook: StepHook;
  log: Logger;
  me: PlanInput["me"];
  /** What decides about takeover and fresh reads (decision 0011). */
  takeover: TakeoverPort;
  /** What was seen of the connections between two looks at the host. */
  liveAt: LiveAt;
  cached(name: string): MeshStorVolume | undefined;
  tables(): ReadonlyMap<string, DriveTable>;
  /** Called when a drive's partitions were changed by us. */
  tableChanged(drive: string): Promise<void>;
  wake(name: string): void;
  /** Told of every record that this node has written. */
  recorded(kind: RecordAction["kind"], before: MeshStorVolume, after: MeshStorVolume): void;
}

/** How a pass ended. */
export interface PassResult {
  /** The intent that the last plan was made for. */
  intent: Intent;
  view: VolumeView | null;
  plan: Plan;
  error: MeshStorError | null;
}

export const EMPTY_PLAN: Plan = { actions: [], waits: [], refusal: null, done: false };

/** One volume's passes and the memory between them. */
export class VolumeReconciler {
  readonly name: string;
  readonly #deps: ReconcileDeps;
  readonly #announced = new Announced();
  #uid = "";
  /** A change of the record was refused: the cache is behind it, or (after a restore of the API) ahead. The next pass reads. */
  #distrusts = false;
  session: Session = EMPTY_SESSION;
  intent: Intent = { kind: "none" };
  /** Progress of long jobs, by partition. */
  readonly progress = new Map<string, number>();

  constructor(name: string, deps: ReconcileDeps) {
    this.name = name;
    this.#deps = deps;
  }

  /** Runs until the plan is empty, an action fails, or the pass has done enough. */
  async pass(): Promise<PassResult> {
    let volume: MeshStorVolume | null = this.#distrusts ? null : (this.#deps.cached(this.name) ?? null);
    let freshUntil = 0;
    let maxAgeMs = this.intent.kind === "none" ? REST_SNAPSHOT_MS : SNAPSHOT_MS;
    let last: { intent: Intent; view: VolumeView | null; plan: Plan } = { intent: this.intent, view: null, plan: EMPTY_PLAN };
    for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
      if (volume === null) volume = await this.#read();
      this.#distrusts = false;
      if (volume === null) return this.#gone();
      this.#notice(volume);
      const host = await this.#deps.snapshots.get(maxAgeMs);
      maxAgeMs = SNAPSHOT_MS;
      const view = viewVolume(volume, host, this.#deps.me);
      this.session = afterLook(this.session, view, host.takenAtMs, this.#deps.liveAt);
      const input = this.#input(volume, host, view);
      const next = plan(input);
      last = { intent: input.intent, view, plan: next };
      if (next.actions.length === 0) return { ...last, error: null };
      if (this.#deps.clock.nowMs() > freshUntil && next.actions.some((a) => FRESH_KINDS.has(a.kind))) {
        volume = await this.#read();
        freshUntil = this.#deps.clock.nowMs() + FRESH_MS;
        continue;
      }
      const done = await this.#applyBatch(next.actions, view, volume);
      if (!next.actions.every(isRecord)) maxAgeMs = 0;
      if (done.error) return { ...last, error: done.error };
      if (done.volume) {
        volume = done.volume;
        freshUntil = this.#deps.clock.nowMs() + FRESH_MS;
      }
      if (done.onlyJobs) return { ...last, error: null };
    }
    this.#deps.wake(this.name);
    return { ...last, error: null };
  }

  #input(volume: MeshStorVolume, host: PlanInput["host"], view: VolumeView): PlanInput {
    const { me, clock, takeover } = this.#deps;
    const judged = { peers: takeover.peers(), bounds: takeover.bounds, promiseMs: takeover.promiseMs, unattended: takeover.unattended(view) };
    return { volume, host, me, intent: this.intent, session: this.session, tables: this.#deps.tables(), nowMs: clock.nowMs(), ...judged };
  }

  async #read(): Promise<MeshStorVolume | null> {
    try {
      return await this.#deps.client.tryGet(VOLUMES, this.name, { timeoutMs: 5_000 });
    } catch (error) {
      throw new MeshStorError("ApiUnavailable", `volume ${this.name} cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }

  /** A volume made anew under the same name is another volume: nothing remembered applies to it. */
  #notice(volume: MeshStorVolume): void {
    const uid = volume.metadata.uid ?? "";
    if (this.#uid !== "" && this.#uid !== uid) this.session = EMPTY_SESSION;
    this.#uid = uid;
  }

  #gone(): PassResult {
    const done = this.intent.kind === "unstage";
    const refusal = this.intent.kind === "stage" ? { code: "VolumeNotFound" as ErrorCode, message: `volume ${this.name} does not exist` } : null;
    return { intent: this.intent, view: null, plan: { ...EMPTY_PLAN, done, refusal }, error: null };
  }

  /** Host actions of a batch run side by side; record actions one after the other. */
  async #applyBatch(actions: Action[], view: VolumeView, volume: MeshStorVolume): Promise<{ volume: MeshStorVolume | null; error: MeshStorError | null; onlyJobs: boolean }> {
    const records = actions.filter(isRecord);
    const jobs = actions.filter((a) => jobKey(a) !== null) as (HostAction & { why: string })[];
    const host = actions.filter((a) => !isRecord(a) && jobKey(a) === null) as (HostAction & { why: string })[];
    for (const job of jobs) this.#startJob(job);
    const results = await Promise.allSettled(host.map((a) => this.#applyHost(a)));
    const failed = results.find((r) => r.status === "rejected");
    if (failed) return { volume: null, error: asMeshStorError(failed.reason), onlyJobs: false };
    let current: MeshStorVolume | null = null;
    for (const action of records) {
      try {
        current = await this.#applyRecord(action, view, current ?? volume);
      } catch (thrown) {
        const error = asMeshStorError(thrown);
        this.#distrusts = error.code === "RecordConflict";
        return { volume: null, error, onlyJobs: false };
      }
    }
    return { volume: current, error: null, onlyJobs: host.length === 0 && records.length === 0 };
  }

  async #applyHost(action: HostAction & { why: string }): Promise<void> {
    const { clock, hook, log } = this.#deps;
    const started = clock.nowMs();
    hook("before", action.kind);
    try {
      await this.#deps.host.apply(action, () => {});
    } catch (error) {
      // Refused for what lies there by now: the next pass decides by the table as it is.
      if ("drive" in action) await this.#deps.tableChanged(action.drive).catch(() => {});
      throw this.#afterFailure(action, asMeshStorError(error));
    }
    hook("after", action.kind);
    log.info("action done", { volume: this.name, ms: Math.round(clock.nowMs() - started), ...action });
    if (action.kind === "CreatePartition" || action.kind === "DeletePartition" || action.kind === "GrowPartition") await this.#deps.tableChanged(action.drive);
    this.session = afterSuccess(this.session, action, { epoch: 0, nowMs: clock.nowMs(), losses: [] });
  }

  /** Zeroing, wiping, making and growing a filesystem take as long as they take; everything else of the volume goes on. */
  #startJob(action: HostAction & { why: string }): void {
    const key = jobKey(action)!;
    const uuid = "partitionUUID" in action ? action.partitionUUID : "";
    const { clock, hook, log, host, wake } = this.#deps;
    const started = clock.nowMs();
    this.session = { ...this.session, jobs: [...this.session.jobs, key] };
    hook("before", action.kind);
    const ended = (success: boolean) => {
      this.progress.delete(uuid);
      this.session = { ...this.session, jobs: this.session.jobs.filter((j) => j !== key) };
      if (success) this.session = afterSuccess(this.session, action, { epoch: 0, nowMs: 0, losses: [] });
      setTimeout(() => wake(this.name), success ? 0 : 5_000).unref();
    };
    host
      .apply(action, (fraction) => this.progress.set(uuid, fraction))
      .then(() => {
        hook("after", action.kind);
        log.info("action done", { volume: this.name, ms: Math.round(clock.nowMs() - started), ...action });
        ended(true);
      })
      .catch((error: unknown) => {
        log.warn("action failed", { volume: this.name, ...action, error });
        ended(false);
      });
  }

  async #applyRecord(action: RecordAction & { why: string }, view: VolumeView, volume: MeshStorVolume): Promise<MeshStorVolume> {
    const { clock, hook, log, me, client } = this.#deps;
    const started = clock.nowMs();
    hook("before", action.kind);
    const ids = Array.from({ length: Math.max(1, view.volume.spec.drivesPerCopy) }, () => clock.newID());
    const { promiseMs } = this.#deps.takeover;
    const context = { me: identityOf(me), epoch: view.epoch, promiseMs, address: me.address, port: me.port, now: clock.isoNow(), ids };
    const written = await writeRecord(client, this.name, volume.metadata.uid ?? "", action, context);
    hook("after", action.kind);
    log.info("record written", { volume: this.name, ms: Math.round(clock.nowMs() - started), epoch: written.status?.epoch, ...action });
    this.#remember(action, view, written);
    this.#deps.recorded(action.kind, volume, written);
    return written;
  }

  #remember(action: RecordAction & { why: string }, view: VolumeView, written: MeshStorVolume): void {
    const nowMs = this.#deps.clock.nowMs();
    const leaving = action.kind === "RecordOut" || action.kind === "RecordRetire" ? action.members : [];
    const losses = leaving.map((m) => lossKey(m.partitionUUID, throughOf(view.members.find((v) => v.uuid === m.partitionUUID)!)));
    const nqn = action.kind === "RecordExport" ? { nqn: exportNQN(action) } : {};
    const interrupted = leaving.filter((m) => this.session.joining.includes(m.partitionUUID));
    this.session = afterSuccess(this.session, action, { epoch: written.status?.epoch ?? 0, nowMs, losses, ...nqn });
    for (const m of interrupted) this.session = afterJoinFailure(this.session, m.partitionUUID, nowMs, false);
  }

  /** Remembers the failure. The pass ends with what this returns: a refused connect to an export that is not made yet is a wait. */
  #afterFailure(action: HostAction & { why: string }, thrown: MeshStorError): MeshStorError {
    const { clock, log, snapshots } = this.#deps;
    // It may have been done in part: no pass decides on what was seen before it.
    snapshots.drop();
    const error = this.#announced.explain(action, thrown, clock.nowMs());
    if (error.code === "Waiting") return error;
    log.warn("action failed", { volume: this.name, ...action, code: error.code, error: error.message });
    this.session = afterFailure(this.session, action, error.code, clock.nowMs());
    return error;
  }
}

function isRecord(action: Action): action is RecordAction & { why: string } {
  return (ALL_RECORD_KINDS as readonly string[]).includes(action.kind);
}

function identityOf(me: PlanInput["me"]): { nodeName: string; nodeUID: string; bootID: string } {
  return { nodeName: me.nodeName, nodeUID: me.nodeUID, bootID: me.bootID };
}
