/**
 * Makes a failing history short: leaves out steps as long as the same rule is broken (delta debugging), then choices
 * inside the steps that stay. A choice left out is the quiet one (recording.ts), so every try is a history.
 */
import type { Violation } from "../src/core/testing/world.ts";
import type { End, History, Step } from "./history.ts";
import { replay } from "./history.ts";

export interface Shrunk {
  history: History;
  violation: Violation;
  tries: number;
}

/** Ends after `tries` attempts at the latest, or when `stop` says so; the best history so far is the result. */
export function shrink(history: History, options: { tries?: number; stop?: () => boolean } = {}): Shrunk {
  const first = replay(history);
  if (!first.violation) throw new Error("a history that keeps every rule cannot be shrunk");
  return new Shrinker(history, first, options.tries ?? 5_000, options.stop ?? (() => false)).run();
}

/** Two violations are the same fault: the same rule, and the same thing that does not come about. */
export function sameFault(a: Violation, b: Violation): boolean {
  return a.rule === b.rule && wish(a) === wish(b);
}

function wish({ message }: Violation): string {
  return /^liveness: ([a-z ]+)/.exec(message)?.[1]?.trim() ?? "";
}

class Shrinker {
  #best: End;
  readonly #history: History;
  #left: number;
  readonly #tries: number;
  readonly #stop: () => boolean;

  constructor(history: History, first: End, tries: number, stop: () => boolean) {
    this.#history = history;
    this.#best = first;
    this.#tries = tries;
    this.#left = tries;
    this.#stop = stop;
  }

  run(): Shrunk {
    for (let size = -1; size !== this.#size() && this.#goOn();) {
      size = this.#size();
      this.#leaveOutSteps();
      this.#quietSteps();
    }
    const { steps, violation } = this.#best;
    return { history: { ...this.#history, steps }, violation: violation!, tries: this.#tries - this.#left };
  }

  #size(): number {
    return this.#best.steps.reduce((sum, step) => sum + 1 + step.draws.length, 0);
  }

  #goOn(): boolean {
    return this.#left > 0 && !this.#stop();
  }

  /** Keeps the steps if they break the same rule, and no more is drawn in them than before. */
  #try(steps: Step[]): boolean {
    if (!this.#goOn()) return false;
    this.#left -= 1;
    const end = replay({ ...this.#history, steps });
    if (!end.violation || !sameFault(end.violation, this.#best.violation!)) return false;
    this.#best = { ...end, steps: end.steps.map(trimmed) };
    return true;
  }

  /** Chunks from the end, from half of all down to single steps. */
  #leaveOutSteps(): void {
    for (let chunk = Math.ceil(this.#best.steps.length / 2); chunk >= 1 && this.#goOn(); chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2))
      for (let from = this.#best.steps.length - chunk; from > -chunk && this.#goOn(); from -= chunk) {
        const { steps } = this.#best;
        this.#try([...steps.slice(0, Math.max(0, from)), ...steps.slice(Math.max(0, from + chunk))]);
        from = Math.min(from, this.#best.steps.length);
      }
  }

  /** Fewer draws in each step, then quieter ones. */
  #quietSteps(): void {
    for (let at = this.#best.steps.length - 1; at >= 0 && this.#goOn(); at -= 1) {
      if (at >= this.#best.steps.length) continue;
      const { draws } = this.#best.steps[at]!;
      if (draws.length === 0 || this.#with(at, [])) continue;
      this.#with(at, draws.slice(0, Math.floor(draws.length / 2)));
      for (let i = 0; i < (this.#best.steps[at]?.draws.length ?? 0) && i < 64 && this.#goOn(); i += 1) {
        const now = this.#best.steps[at]!.draws;
        if (now[i] !== 0) this.#with(at, now.with(i, 0));
      }
    }
  }

  #with(at: number, draws: number[]): boolean {
    return this.#try(this.#best.steps.map((step, i) => (i === at ? { ...step, draws } : step)));
  }
}

/** Quiet choices at the end of a step need not be written down. */
function trimmed({ move, draws }: Step): Step {
  return { move, draws: draws.slice(0, draws.findLastIndex((draw) => draw !== 0) + 1) };
}
