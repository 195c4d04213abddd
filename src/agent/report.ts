/** After each pass of the owner: what people read, written only when it changed and not too often, and said as events. */
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { RecordAction } from "../core/action.ts";
import { flowOf, withConditions } from "../core/conditions.ts";
import type { Flow } from "../core/conditions.ts";
import { samplesOf, summarise, type Summary, withSummary } from "../core/summary.ts";
import { isOwner } from "../core/record.ts";
import type { Identity } from "../core/record.ts";
import { sentenceAtRest } from "../core/sentence.ts";
import { tellingsOf } from "../core/tellings.ts";
import { type Runs, timeLeft } from "../core/time-left.ts";
import type { VolumeView } from "../core/view.ts";
import type { KubeClient } from "../kube/client.ts";
import { type EventRecorder, referenceTo } from "../kube/events.ts";
import { updateStatus } from "../kube/update.ts";
import type { Clock } from "./ports.ts";
import type { VolumeReconciler, PassResult } from "./reconcile.ts";

/** Progress is written at most this often for one volume. */
const PROGRESS_MS = 2_000;
/** Refusals that a person must know of; others end by themselves. */
const TOLD: readonly ErrorCode[] = ["NoGoodCopy", "OwnerGone", "RecordOlderThanLabel", "ForeignContent", "Unsafe", "HostUnsuitable"];

export interface ReporterDeps {
  client: KubeClient;
  me: Identity;
  clock: Pick<Clock, "nowMs" | "isoNow">;
  events: Pick<EventRecorder, "tell" | "tellError" | "flush">;
}

export class Reporter {
  readonly #deps: ReporterDeps;
  readonly #written = new Map<string, number>();
  /** Volumes of this node whose I/O stands still, and how. */
  readonly #still = new Map<string, Flow>();
  /** Resyncs under way, by volume. */
  readonly #runs = new Map<string, Runs>();

  constructor(deps: ReporterDeps) {
    this.#deps = deps;
  }

  #withTimeLeft(view: VolumeView, summary: Summary): Summary {
    const { runs, secondsLeft } = timeLeft(this.#runs.get(view.name) ?? {}, samplesOf(view), this.#deps.clock.nowMs());
    if (Object.keys(runs).length > 0) this.#runs.set(view.name, runs);
    else this.#runs.delete(view.name);
    return secondsLeft === null ? summary : { ...summary, syncTimeLeft: secondsLeft };
  }

  /** Writes the owner's summary of its volume by compare-and-swap; nothing if it stands already. */
  async report(reconciler: VolumeReconciler, result: PassResult): Promise<void> {
    const { view } = result;
    this.#tellRefusal(result);
    if (!view?.mine || !view.status.owner) return void this.#still.delete(reconciler.name);
    const seen = summarise(
      view,
      result.plan.waits.filter((w) => !/resyncs$|begins to rebuild/.test(w)),
    );
    const sentence = seen.message || sentenceAtRest({ ...view.volume, status: { ...view.status, ...seen } });
    const said = { ...seen, message: withTrouble(sentence, result.error) };
    const summary = this.#withTimeLeft(view, said);
    const flow = flowOf(view);
    this.#tellFlow(view, flow, said.message);
    if (this.#told(view.volume, view.status, summary, flow) === null) return;
    const { me, clock, client } = this.#deps;
    const last = this.#written.get(view.name) ?? Number.NEGATIVE_INFINITY;
    const { syncTimeLeft: _left, ...others } = view.status;
    const { syncTimeLeft: _now, ...settled } = summary;
    const onlyProgress = this.#told(view.volume, { ...others, syncPercentage: summary.syncPercentage ?? "" }, settled, flow) === null;
    if (onlyProgress && clock.nowMs() - last < PROGRESS_MS) return;
    this.#written.set(view.name, clock.nowMs());
    await updateStatus(client, reconciler.name, (volume) => {
      const status = volume.status ?? {};
      // Only the owner of this very epoch speaks for the volume (I4).
      if (!isOwner(status, me) || status.epoch !== view.epoch) return null;
      return this.#told(volume, status, summary, flow);
    });
  }

  /** Ends when everything is said. */
  stop(): Promise<void> {
    return this.#deps.events.flush();
  }

  /** Says what this node has just written into the record. */
  recorded(kind: RecordAction["kind"], before: MeshStorVolume, after: MeshStorVolume): void {
    for (const telling of tellingsOf(kind, before.status ?? {}, after)) this.#deps.events.tell({ regarding: referenceTo(after), ...telling });
  }

  /** The status with summary and conditions; null if both stand already. */
  #told(volume: MeshStorVolume, status: VolumeStatus, summary: Summary, flow: Flow): VolumeStatus | null {
    const next = withConditions(volume, withSummary(status, summary) ?? status, this.#deps.clock.isoNow(), flow);
    return next === status ? null : next;
  }

  #tellFlow(view: VolumeView, flow: Flow, sentence: string): void {
    const before = this.#still.get(view.name) ?? "Flows";
    if (flow === before) return;
    if (flow === "Flows") this.#still.delete(view.name);
    else this.#still.set(view.name, flow);
    const regarding = referenceTo(view.volume);
    if (flow === "Flows")
      this.#deps.events.tell({ regarding, type: "Normal", reason: "Resumed", action: "Resume", note: `node ${this.#deps.me.nodeName} lets the volume's I/O through again` });
    else this.#deps.events.tell({ regarding, type: "Warning", reason: flow, action: "Hold", note: sentence || `node ${this.#deps.me.nodeName} holds the volume's I/O` });
  }

  /** Why kubelet's wish cannot be met, where that does not end by itself. */
  #tellRefusal({ view, plan }: PassResult): void {
    if (!view || !plan.refusal || !TOLD.includes(plan.refusal.code)) return;
    const { code, message } = plan.refusal;
    this.#deps.events.tellError(referenceTo(view.volume), "Stage", new MeshStorError(code, message));
  }
}

/** What a tool of the host said comes after what is waited for; everything else that went wrong says that itself. */
function withTrouble(sentence: string, error: MeshStorError | null): string {
  if (error === null) return sentence;
  const fromTool = error.code === "CommandFailed" || error.code === "CommandTimedOut";
  return fromTool && sentence !== "" ? `${sentence} (tried again: ${error.message})` : error.message;
}
