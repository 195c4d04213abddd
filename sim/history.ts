/**
 * A history as data: where it begins, and its steps, each a move by name with the choices that were drawn in
 * it. Carried out again it ends the same, to the letter; that is how histories are kept, shrunk and shown.
 */
import { MOVES } from "../src/core/testing/explore.ts";
import type { VolumeKind } from "../src/core/testing/kind.ts";
import type { World } from "../src/core/testing/world.ts";
import { Violation } from "../src/core/testing/world.ts";
import { EVENTS } from "./events.ts";
import { mutated } from "./mutations/mutate.ts";
import { recorded, Recorder } from "./recording.ts";
import { checkRecord } from "./record-rules.ts";
import { beginningOf } from "./scenes.ts";

/** Where a history begins: a volume just requested, or a named scene (scenes.ts). */
export interface Beginning {
  copies: number;
  stripes: number;
  placement: string[];
  /** What a volume just requested finds: the clocks of its nodes. */
  seed?: number;
  /** A guard runs on every node. */
  guards?: boolean;
  /** XFS if left out. */
  kind?: VolumeKind;
  scene?: string;
  /** A planted fault (mutations/). */
  mutation?: string;
}

export interface Step {
  move: string;
  draws: number[];
}

export interface History {
  beginning: Beginning;
  steps: Step[];
}

/** What came of a history: how far it got, and the rule that it broke. */
export interface End {
  world: World;
  steps: Step[];
  violation: Violation | null;
}

/** A world at the beginning of a history, and what leads its choices. */
export interface Stage {
  world: World;
  recorder: Recorder;
}

export function stageOf(beginning: Beginning): Stage {
  const recorder = new Recorder(() => 0);
  const world = beginningOf(beginning, recorder.choices);
  if (beginning.mutation !== undefined) world.protocol = mutated(beginning.mutation, world.protocol);
  recorder.take();
  return { world, recorder };
}

/** Carries out one move, of a random history or of the exhaustive search; what must hold is looked at after it. */
export function carryOut(world: World, move: string): void {
  const [name = "", ...words] = move.split(" ");
  const event = EVENTS[name];
  if (event) event(world, words);
  else if (MOVES[name]) MOVES[name](world, words.join(" "));
  else throw new Error(`no move ${move}`);
  checkRecord(world);
}

/** Carries a history out again, to its end or to the rule that it breaks. `seen` is called after each step. */
export function replay(history: History, seen?: (world: World, step: Step) => void): End {
  return quickErrors(() => {
    const { world, recorder } = stageOf(history.beginning);
    const steps: Step[] = [];
    for (const step of history.steps) {
      recorder.lead(recorded(step.draws));
      const violation = attempt(() => carryOut(world, step.move));
      steps.push({ move: step.move, draws: recorder.take() });
      seen?.(world, steps.at(-1)!);
      if (violation) return { world, steps, violation };
    }
    return { world, steps, violation: null };
  });
}

/** The rule that something broke, or null; a mistake of the planner or of the model counts as one. */
export function attempt(what: () => void): Violation | null {
  try {
    what();
    return null;
  } catch (error) {
    if (error instanceof Violation) return error;
    return new Violation("crash", error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}

/** Errors are part of the story here, and their stacks cost more than the rest. */
export function quickErrors<T>(what: () => T): T {
  const errors = Error as { stackTraceLimit?: number };
  const { stackTraceLimit = 10 } = errors;
  errors.stackTraceLimit = 1;
  try {
    return what();
  } finally {
    errors.stackTraceLimit = stackTraceLimit;
  }
}
