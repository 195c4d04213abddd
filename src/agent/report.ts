/** After each pass of the owner: what people read, written only when it changed and not too often. */
import { samplesOf, summarise, type Summary, withSummary } from "../core/summary.ts";
import { type Runs, timeLeft } from "../core/time-left.ts";
import type { VolumeView } from "../core/view.ts";
import { isOwner } from "../core/record.ts";
import type { Identity } from "../core/record.ts";
import type { KubeClient } from "../kube/client.ts";
import { updateStatus } from "../kube/update.ts";
import type { VolumeReconciler, PassResult } from "./reconcile.ts";

/** Progress is written at most this often for one volume. */
const PROGRESS_MS = 2_000;

export class Reporter {
  readonly #client: KubeClient;
  readonly #me: Identity;
  readonly #nowMs: () => number;
  readonly #written = new Map<string, number>();
  /** Resyncs under way, by volume. */
  readonly #runs = new Map<string, Runs>();

  constructor(client: KubeClient, me: Identity, nowMs: () => number) {
    this.#client = client;
    this.#me = me;
    this.#nowMs = nowMs;
  }

  #withTimeLeft(view: VolumeView, summary: Summary): Summary {
    const { runs, secondsLeft } = timeLeft(this.#runs.get(view.name) ?? {}, samplesOf(view), this.#nowMs());
    if (Object.keys(runs).length > 0) this.#runs.set(view.name, runs);
    else this.#runs.delete(view.name);
    return secondsLeft === null ? summary : { ...summary, syncTimeLeft: secondsLeft };
  }

  /** Writes the owner's summary of its volume by compare-and-swap; nothing if it stands already. */
  async report(reconciler: VolumeReconciler, result: PassResult): Promise<void> {
    const { view } = result;
    if (!view?.mine || !view.status.owner) return;
    const trouble = result.error ? [result.error.message] : [];
    const summary = this.#withTimeLeft(view, summarise(view, [...trouble, ...result.plan.waits.filter((w) => !/resyncs$|begins to rebuild/.test(w))]));
    if (withSummary(view.status, summary) === undefined) return;
    const last = this.#written.get(view.name) ?? Number.NEGATIVE_INFINITY;
    const { syncTimeLeft: _left, ...others } = view.status;
    const { syncTimeLeft: _now, ...settled } = summary;
    const onlyProgress = withSummary({ ...others, syncPercentage: summary.syncPercentage ?? "" }, settled) === undefined;
    if (onlyProgress && this.#nowMs() - last < PROGRESS_MS) return;
    this.#written.set(view.name, this.#nowMs());
    await updateStatus(this.#client, reconciler.name, (volume) => {
      const status = volume.status ?? {};
      // Only the owner of this very epoch speaks for the volume (I4).
      if (!isOwner(status, this.#me) || status.epoch !== view.epoch) return null;
      return withSummary(status, summary) ?? null;
    });
  }
}
