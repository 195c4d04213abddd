/** The random driver: one history from one seed. */
import { movesOf, optionsOf } from "../src/core/testing/explore.ts";
import type { VolumeKind } from "../src/core/testing/kind.ts";
import { prng } from "../src/core/testing/prng.ts";
import type { Beginning, End, History, Step } from "./history.ts";
import { attempt, carryOut, quickErrors, stageOf } from "./history.ts";
import { drawsOf } from "./recording.ts";
import type { World } from "../src/core/testing/world.ts";

/** Of eight volumes one is raw and one has ext4; the first ones, by which planted faults are proven, are as they always were. */
function kindOf(seed: number): VolumeKind | null {
  if (seed < 32) return null;
  return seed % 8 === 7 ? "block" : seed % 8 === 3 ? "ext4" : null;
}

/** Where a seed's history begins. */
export function beginningOfSeed(seed: number, mutation?: string): Beginning {
  const { copies, stripes, placement, guards } = optionsOf(seed);
  const kind = kindOf(seed);
  return { seed, copies, stripes, placement, guards, ...(kind && { kind }), ...(mutation === undefined ? {} : { mutation }) };
}

/** Carries a seed's history out and writes it down. `begun` is called with the world before its first step. */
export function randomHistory(seed: number, options: { mutation?: string; begun?: (world: World) => void } = {}): { history: History; end: End } {
  return quickErrors(() => {
    const beginning = beginningOfSeed(seed, options.mutation);
    const { world, recorder } = stageOf(beginning);
    options.begun?.(world);
    recorder.lead(drawsOf(prng(seed)));
    const steps: Step[] = [];
    for (const move of movesOf(seed, 400, seed >= 32 && seed % 4 === 1)) {
      const violation = attempt(() => carryOut(world, move));
      steps.push({ move, draws: recorder.take() });
      if (violation) return { history: { beginning, steps }, end: { world, steps, violation } };
    }
    return { history: { beginning, steps }, end: { world, steps, violation: null } };
  });
}
