/** One random history, from a seed: a list of moves (faults among them), then liveness. A violation carries the seed and the history. */
import { MiB } from "../../base/units.ts";
import type { Choices } from "./choices.ts";
import { avoid, grow, scale, setTimeOut, stepController } from "./controller.ts";
import { checkLiveness, round, stageOn } from "./liveness.ts";
import type { ModelOptions } from "./model.ts";
import { crisis, fault } from "./faults.ts";
import { createWorld, NODES } from "./model.ts";
import { prng } from "./prng.ts";
import { step } from "./steps.ts";
import { neighbour } from "./stories.ts";
import type { Wrong } from "./mutation.ts";
import type { World } from "./world.ts";
import { nodeOf } from "./world.ts";

export interface Outcome {
  world: World;
  failure: Error | null;
}

/** Options of a seed: every fifth volume is striped, copies are 1, 2 (mostly) or 3. */
export function optionsOf(seed: number): ModelOptions & { guards: boolean; placement: string[] } {
  const rng = prng(seed * 7 + 1);
  const copies = rng.pick([1, 2, 2, 2, 3]);
  return { seed, copies, stripes: rng.chance(0.2) ? 2 : 1, guards: !rng.chance(0.1), placement: rng.shuffle(NODES).slice(0, copies) };
}

/** What a history is made of, by name: each move is carried out whole, and may have an argument. */
export const MOVES: Readonly<Record<string, (w: World, argument: string) => void>> = {
  stage: (w, node) => stageOn(w, nodeOf(w, node)),
  round: (w) => round(w, 1_000),
  trouble: (w, chance) => {
    w.trouble = Number(chance);
  },
  step,
  fault,
  crisis,
  liveness: checkLiveness,
  controller: stepController,
  timeout: (w, seconds) => setTimeOut(w, Number(seconds)),
  scale: (w, copies) => scale(w, Number(copies)),
  avoid,
  neighbour: (w) => w.nodes.forEach(neighbour),
  grow: (w, mebibytes) => grow(w, Number(mebibytes) * MiB),
  /** Longer than the time-out of a missing member, with whatever is broken. */
  patience: (w) => {
    for (let i = 0; i < 9; i += 1) round(w, 10_000);
  },
};

/** The moves of a random history, as `name argument`. */
export function* randomMoves(rng: Choices, steps: number): Generator<string, void> {
  // Most histories begin with a volume in use, so that faults meet one.
  if (rng.chance(0.7)) yield `stage ${rng.pick(NODES)}`;
  if (rng.chance(0.4)) for (let i = rng.int(6); i > 0; i -= 1) yield "round";
  yield `trouble ${rng.pick([0, 0, 0.02, 0.1])}`;
  const rate = rng.pick([0, 2, 5, 10]) / steps;
  const trouble = rng.chance(0.5) ? rng.int(steps / 2) : -1;
  const wishes = new Map<number, string>();
  if (rng.chance(0.5)) {
    yield "timeout 60";
    for (let i = rng.int(3); i > 0; i -= 1) wishes.set(rng.int(steps), "patience");
    if (rng.chance(0.4)) wishes.set(rng.int(steps), `scale ${1 + rng.int(3)}`);
    if (rng.chance(0.4)) wishes.set(rng.int(steps), `avoid ${rng.pick([...NODES, ""])}`);
  }
  for (let i = 0; i < steps; i += 1) {
    yield "step";
    if (i % 10 === 9) yield "controller";
    const wish = wishes.get(i);
    if (wish !== undefined) yield wish;
    if (rng.chance(rate)) yield "fault";
    if (i === trouble) yield "crisis";
  }
  yield "liveness";
}

/** Where a history's moves come from; its other choices come from the seed itself. */
export function movesOf(seed: number, steps = 400, grows = false): Generator<string, void> {
  const moves = randomMoves(prng(seed * 31 + 7), steps);
  return grows ? growing(moves, seed) : moves;
}

/** The same moves, and the volume grows now and then; once something else lies behind its partitions. */
function* growing(moves: Iterable<string>, seed: number): Generator<string, void> {
  let n = 0;
  for (const move of moves) {
    yield move;
    n += 1;
    if (n % 150 === 60) yield "grow 64";
    if (n === 160 && seed % 2 === 0) yield "neighbour";
  }
}

export function explore(options: ModelOptions, steps = 400, wrong: Wrong = {}): Outcome {
  const world = createWorld(options);
  world.wrong = wrong;
  // Errors are part of the story here, and their stacks cost more than the rest.
  const errors = Error as { stackTraceLimit?: number };
  const { stackTraceLimit = 10 } = errors;
  errors.stackTraceLimit = 0;
  try {
    for (const move of movesOf(options.seed, steps, options.grows)) {
      const [name = "", argument = ""] = move.split(" ");
      MOVES[name]!(world, argument);
    }
    return { world, failure: null };
  } catch (error) {
    return { world, failure: error instanceof Error ? error : new Error(String(error)) };
  } finally {
    errors.stackTraceLimit = stackTraceLimit;
  }
}

/** The last lines of a history, for a person. */
export function history(world: World, lines = 60): string {
  return world.log
    .slice(-lines)
    .map(({ nowMs, line }) => `${String(nowMs).padStart(7)}  ${typeof line === "string" ? line : line()}`)
    .join("\n");
}

/** The same story again and again, with an agent killed at one step more each time; the failures, by step. */
export function killEverywhere(story: (world: World) => void, options: ModelOptions): { steps: number; worlds: World[]; failures: { step: number; error: Error; world: World }[] } {
  const plain = createWorld(options);
  story(plain);
  const worlds = [plain];
  const failures: { step: number; error: Error; world: World }[] = [];
  for (let step = 1; step <= plain.steps; step += 1) {
    const world = createWorld(options);
    world.killAt = step;
    worlds.push(world);
    try {
      story(world);
    } catch (error) {
      failures.push({ step, world, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }
  return { steps: plain.steps, worlds, failures };
}
