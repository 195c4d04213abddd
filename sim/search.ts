/** Runs the exhaustive search over scenes and says what came of it. */
import { Coverage } from "./coverage.ts";
import type { Bounds, Result } from "./exhaustive.ts";
import { search } from "./exhaustive.ts";
import type { Failure } from "./failing.ts";
import { keepFailure } from "./failing.ts";
import { Progress } from "./progress.ts";

export interface SceneResult extends Omit<Result, "violation"> {
  scene: string;
  bounds: Pick<Bounds, "grain" | "faults" | "writes" | "ticks"> & { depth: number };
  seconds: number;
  failure: Failure | null;
}

export interface SearchOptions {
  bounds: Omit<Bounds, "stop">;
  /** For all scenes together; each has its share of what is left. */
  milliseconds: number;
  folder: string;
  mutation?: string;
  /** Called with each scene as it ends. */
  say: (result: SceneResult) => void;
}

export function searchScenes(scenes: readonly string[], options: SearchOptions): { scenes: SceneResult[]; seconds: number; coverage: ReturnType<Coverage["report"]> } {
  const all = new Progress();
  const coverage = new Coverage();
  const until = performance.now() + options.milliseconds;
  const results: SceneResult[] = [];
  for (const [i, scene] of scenes.entries()) {
    const mine = performance.now() + (until - performance.now()) / (scenes.length - i);
    const result = searchScene(scene, options, () => performance.now() > mine, coverage);
    results.push(result);
    options.say(result);
  }
  return { scenes: results, seconds: all.seconds, coverage: coverage.report() };
}

function searchScene(scene: string, { bounds, folder, mutation }: SearchOptions, stop: () => boolean, coverage: Coverage): SceneResult {
  const progress = new Progress();
  const { violation, ...figures } = search(
    scene,
    { ...bounds, stop },
    {
      ...(mutation === undefined ? {} : { mutation }),
      begun: (world) => coverage.watch(world),
      visit: (world, step, from) => {
        coverage.move(step.move);
        coverage.world(world, from);
      },
      progress: ({ states, transitions, depth }) =>
        progress.show(() => `${scene}: depth ${depth + 1}, ${states} states, ${transitions} transitions, ${(states / progress.seconds).toFixed(0)} states/s`),
    },
  );
  const { seconds } = progress;
  progress.close();
  const { grain, depth, faults, writes, ticks } = bounds;
  const failure = violation && keepFailure(`exhaustive-${scene}`, violation.history, violation.violation, folder);
  return { scene, bounds: { grain, depth, faults, writes, ticks }, ...figures, seconds, failure };
}

/** One scene in one line. */
export function sceneText({ scene, bounds, states, transitions, depth, complete, followed, seconds, failure }: SceneResult): string {
  const reach = complete ? `all of depth ${depth}` : failure ? `depth ${depth + 1}, where a rule breaks` : `all of depth ${depth}, then the bound on time or states`;
  const within = `grain ${bounds.grain}, up to ${bounds.faults} faults, ${bounds.writes} writes, ${bounds.ticks} waits`;
  return `${scene}: ${reach} (${within}): ${states} states, ${transitions} transitions, ${followed} followed to health, ${seconds.toFixed(1)} s, ${(states / seconds).toFixed(0)} states/s`;
}
