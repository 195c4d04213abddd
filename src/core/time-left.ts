/** How long a rebuild still takes, from how far it was when. Pure; times are monotonic ms. */

/** One mirror that resyncs now, with how much of it is done, in any unit. */
export interface Sample {
  key: string;
  done: number;
  total: number;
}

interface Run {
  total: number;
  done: number;
  atMs: number;
  /** The last sample. */
  lastDone: number;
}

/** First sample of each run under way, by its key. */
export type Runs = Readonly<Record<string, Run>>;

/** Too short a run says nothing. */
const LEAST_MS = 2_000;

/**
 * Takes in what runs now. Mirrors resync side by side, so the volume needs as long as the slowest of them; each goes on as fast
 * as it went on average. `secondsLeft` is null while nothing runs, or some run is too young.
 */
export function timeLeft(before: Runs, samples: readonly Sample[], nowMs: number): { runs: Runs; secondsLeft: number | null } {
  const runs = Object.fromEntries(samples.map((s) => [s.key, follow(before[s.key], s, nowMs)]));
  const left = samples.map((s) => secondsOf(runs[s.key]!, s, nowMs));
  return { runs, secondsLeft: left.length === 0 || left.includes(null) ? null : Math.round(Math.max(...(left as number[]))) };
}

/** Another size, or less than before: it is another run. */
function follow(run: Run | undefined, { done, total }: Sample, nowMs: number): Run {
  if (!run || run.total !== total || done < run.lastDone) return { total, done, atMs: nowMs, lastDone: done };
  return { ...run, lastDone: done };
}

function secondsOf(run: Run, { done, total }: Sample, nowMs: number): number | null {
  const [gone, passed] = [done - run.done, nowMs - run.atMs];
  return passed < LEAST_MS || gone <= 0 ? null : ((total - done) * passed) / gone / 1000;
}
