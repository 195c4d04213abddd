/** Seeds and planted faults on all processors. */
import type { Report } from "./coverage.ts";
import { Progress } from "./progress.ts";
import { onThreads } from "./pool.ts";
import type { Proof } from "./proof.ts";
import type { SeedsOptions, SeedsResult } from "./seeds.ts";

/** Seeds of one task: some seconds. */
const SEEDS = 100;

/** As `runSeeds`, on several threads. Once enough have failed no further seeds are begun. */
export async function runSeedsOn(workers: number, options: SeedsOptions): Promise<SeedsResult> {
  const progress = new Progress();
  const until = performance.now() + (options.milliseconds ?? Number.POSITIVE_INFINITY);
  const results: SeedsResult[] = [];
  const failed = () => results.reduce((sum, r) => sum + r.failures.length, 0);
  let from = options.from;
  const next = () => {
    const left = until - performance.now();
    if (from > options.to || left <= 0 || failed() >= options.failures) return null;
    const to = Math.min(options.to, from + SEEDS - 1);
    const task = { kind: "seeds" as const, options: { ...options, from, to, ...(Number.isFinite(left) ? { milliseconds: left } : {}) } };
    from = to + 1;
    return task;
  };
  await onThreads(workers, next, (_task, result) => {
    results.push(result);
    const seeds = results.reduce((sum, r) => sum + r.seeds, 0);
    progress.show(() => `${seeds} histories, ${failed()} failed, ${(seeds / progress.seconds).toFixed(0)}/s`);
  });
  progress.close();
  return { ...merged(results), next: from, seconds: progress.seconds };
}

/** What several runs brought, as one. */
export function merged(results: readonly SeedsResult[]): Omit<SeedsResult, "next" | "seconds"> {
  const inOrder = results.toSorted((a, b) => a.next - b.next);
  const sum = (key: "seeds" | "steps") => inOrder.reduce((all, r) => all + r[key], 0);
  return { seeds: sum("seeds"), steps: sum("steps"), failures: inOrder.flatMap((r) => r.failures), coverage: together(inOrder.map((r) => r.coverage)) };
}

function together(reports: readonly Report[]): Report {
  const all: Report = { actions: {}, failures: {}, moves: {}, states: {}, transitions: {}, planner: {}, model: {} };
  for (const report of reports)
    for (const topic of Object.keys(all) as (keyof Report)[]) for (const [name, count] of Object.entries(report[topic])) all[topic][name] = (all[topic][name] ?? 0) + count;
  return all;
}

/** As `prove`, on several threads; the proofs are in the order of the names. */
export async function proveOn(workers: number, names: readonly string[], seeds: number): Promise<Proof[]> {
  const progress = new Progress();
  const left = [...names];
  const proofs = new Map<string, Proof>();
  const next = () => {
    const mutation = left.shift();
    return mutation === undefined ? null : { kind: "proof" as const, mutation, seeds };
  };
  await onThreads(workers, next, ({ mutation }, proof) => {
    proofs.set(mutation, proof);
    progress.show(() => `${proofs.size} of ${names.length} planted faults`);
  });
  progress.close();
  return names.map((name) => proofs.get(name)!);
}
