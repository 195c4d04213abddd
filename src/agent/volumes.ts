/** All volumes that concern this node: their reconcilers, the queue that runs them, and who waits for what. */
import type { MeshStorVolume } from "../api/volume.ts";
import type { MeshStorError } from "../base/errors.ts";
import { asMeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Intent } from "../core/plan.ts";
import type { PassResult, ReconcileDeps } from "./reconcile.ts";
import { EMPTY_PLAN, VolumeReconciler } from "./reconcile.ts";
import { WorkQueue } from "./work-queue.ts";

/** Volumes reconciled side by side; one volume's trouble never blocks another's loop. */
const CONCURRENCY = 8;
/** Every volume that concerns this node is looked at this often, changed or not. */
export const TICK_MS = 10_000;
const SYNC_TICK_MS = 2_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
const CONFLICT_RETRY_MS = 50;
/** This many passes in a row that end in a conflict are not chance. */
const MANY_CONFLICTS = 4;

type Watcher = (result: PassResult) => void;

export class Volumes {
  readonly #deps: ReconcileDeps;
  readonly #log: Logger;
  readonly #report: (reconciler: VolumeReconciler, result: PassResult) => Promise<void>;
  readonly #reconcilers = new Map<string, VolumeReconciler>();
  readonly #failures = new Map<string, number>();
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #queue: WorkQueue;

  constructor(deps: Omit<ReconcileDeps, "wake">, report: (reconciler: VolumeReconciler, result: PassResult) => Promise<void>) {
    this.#deps = { ...deps, wake: (name) => this.wake(name) };
    this.#log = deps.log;
    this.#report = report;
    this.#queue = new WorkQueue({
      concurrency: CONCURRENCY,
      run: (name) => this.#run(name),
      onError: (name, error) => this.#log.error("volume pass failed", { volume: name, error }),
    });
  }

  /** Looks at a volume soon. */
  wake(name: string): void {
    this.#queue.add(name);
  }

  /** Sets what kubelet asks of this node and looks at the volume; `watch` is told of every pass until it is removed. */
  ask(name: string, intent: Intent, watch: Watcher): () => void {
    const reconciler = this.#reconciler(name);
    reconciler.intent = intent;
    const watchers = this.#watchers.get(name) ?? new Set();
    this.#watchers.set(name, watchers.add(watch));
    this.#failures.delete(name);
    this.wake(name);
    return () => {
      watchers.delete(watch);
      if (reconciler.intent === intent) reconciler.intent = { kind: "none" };
    };
  }

  /** Progress of zeroing or wiping a partition, 0 to 1; undefined if none runs. */
  progressOf(name: string, partitionUUID: string): number | undefined {
    return this.#reconcilers.get(name)?.progress.get(partitionUUID);
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  #reconciler(name: string): VolumeReconciler {
    let reconciler = this.#reconcilers.get(name);
    if (!reconciler) {
      reconciler = new VolumeReconciler(name, this.#deps);
      this.#reconcilers.set(name, reconciler);
    }
    return reconciler;
  }

  async #run(name: string): Promise<void> {
    const reconciler = this.#reconciler(name);
    const result = await reconciler.pass().catch((error: unknown): PassResult => ({ intent: reconciler.intent, view: null, plan: EMPTY_PLAN, error: asMeshStorError(error) }));
    for (const watch of this.#watchers.get(name) ?? []) watch(result);
    await this.#report(reconciler, result).catch((error: unknown) => this.#log.warn("status not written", { volume: name, error: asMeshStorError(error).message }));
    this.#again(name, reconciler, result);
  }

  /** What belongs to a normal course of things is no trouble: a wait, or a compare-and-swap that another's write preceded. */
  #tell(name: string, error: MeshStorError, failures: number): void {
    const fields = { volume: name, code: error.code, failures };
    const normal = error.code === "Waiting" || (error.code === "RecordConflict" && failures < MANY_CONFLICTS);
    if (normal) this.#log.info("volume waits", { ...fields, for: error.message });
    else this.#log.warn("volume pass ended with an error", { ...fields, error: error.message });
  }

  /** When the volume is looked at next. */
  #again(name: string, reconciler: VolumeReconciler, result: PassResult): void {
    if (result.error) {
      const failures = (this.#failures.get(name) ?? 0) + 1;
      this.#failures.set(name, failures);
      this.#tell(name, result.error, failures);
      return this.#queue.addAfter(name, retryMs(result.error, failures));
    }
    this.#failures.delete(name);
    const asked = reconciler.intent.kind !== "none" && !result.plan.done;
    if (asked) return this.#queue.addAfter(name, FIRST_RETRY_MS);
    if (isMoving(result)) return this.#queue.addAfter(name, SYNC_TICK_MS);
    if (result.view === null && reconciler.intent.kind === "none") return void this.#reconcilers.delete(name);
    // One beat for all volumes of the node: at rest one snapshot of the host serves them all.
    return this.#queue.addAfter(name, TICK_MS - (this.#deps.clock.nowMs() % TICK_MS));
  }
}

/** Who lost a race looks again at once; who loses it again and again has another trouble. */
function retryMs(error: MeshStorError, failures: number): number {
  const [first, times] = error.code === "RecordConflict" ? [CONFLICT_RETRY_MS, Math.max(0, failures - MANY_CONFLICTS)] : [FIRST_RETRY_MS, failures - 1];
  return Math.min(LAST_RETRY_MS, first * 2 ** times);
}

/** A resync or a wait that ends by itself is looked at more often than a volume at rest. */
function isMoving(result: PassResult): boolean {
  return result.plan.waits.length > 0 || (result.view?.mirrors.some((m) => m.array !== null && m.array.syncAction !== "idle") ?? false);
}

/** Does this volume concern the node: it holds a partition, it owns it, or it owned it and others wait for it? */
export function concerns(volume: MeshStorVolume, nodeName: string): boolean {
  const { owner, former = [] } = volume.status ?? {};
  return owner?.nodeName === nodeName || former.some((f) => f.nodeName === nodeName) || (volume.status?.partitions ?? []).some((p) => p.nodeID === nodeName);
}

/** The error that a waiting CSI call ends with at once, or null if it goes on waiting. */
export function finalError(error: MeshStorError | null): MeshStorError | null {
  if (!error) return null;
  return ["ForeignContent", "RecordOlderThanLabel", "HostUnsuitable", "VolumeNotFound", "TargetInUse"].includes(error.code) ? error : null;
}
