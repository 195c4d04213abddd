/** Runs many seeds and says what came of them. */
import { Coverage } from "./coverage.ts";
import type { Failure } from "./failing.ts";
import { keepFailure } from "./failing.ts";
import { Progress } from "./progress.ts";
import { randomHistory } from "./random.ts";

export interface SeedsResult {
  seeds: number;
  /** The next seed that was not run. */
  next: number;
  steps: number;
  seconds: number;
  failures: Failure[];
  coverage: ReturnType<Coverage["report"]>;
}

export interface SeedsOptions {
  from: number;
  /** The last seed; Infinity with a limit in time. */
  to: number;
  milliseconds?: number;
  mutation?: string;
  /** Ends after so many failures. */
  failures: number;
  folder: string;
}

export function runSeeds(options: SeedsOptions): SeedsResult {
  const progress = new Progress();
  const coverage = new Coverage();
  const failures: Failure[] = [];
  const until = performance.now() + (options.milliseconds ?? Number.POSITIVE_INFINITY);
  let [seed, steps] = [options.from, 0];
  for (; seed <= options.to && performance.now() < until && failures.length < options.failures; seed += 1) {
    const { history, end } = randomHistory(seed, { ...(options.mutation === undefined ? {} : { mutation: options.mutation }), begun: (world) => coverage.watch(world) });
    steps += history.steps.length;
    for (const { move } of history.steps) coverage.move(move);
    coverage.world(end.world);
    if (end.violation) failures.push(keepFailure(`seed-${seed}`, history, end.violation, options.folder));
    progress.show(() => `seed ${seed}, ${failures.length} failed, ${((seed - options.from) / progress.seconds).toFixed(0)} seeds/s`);
  }
  progress.close();
  return { seeds: seed - options.from, next: seed, steps, seconds: progress.seconds, failures, coverage: coverage.report() };
}
