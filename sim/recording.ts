/** Choices that are written down while they are drawn, and choices that are read back from such a list. */
import type { Choices, Draw } from "../src/core/testing/choices.ts";
import { choicesFrom } from "../src/core/testing/choices.ts";

/** Draws go where they are led at the moment: a recorder is led anew at every step. */
export class Recorder {
  readonly choices: Choices;
  #source: Draw;
  #drawn: number[] = [];

  constructor(source: Draw) {
    this.#source = source;
    this.choices = choicesFrom((n, p) => {
      const value = this.#source(n, p);
      this.#drawn.push(value);
      return value;
    });
  }

  /** What was drawn since the last `take`. */
  get drawn(): readonly number[] {
    return this.#drawn;
  }

  /** What was drawn since the last call; forgotten with it. */
  take(): number[] {
    const drawn = this.#drawn;
    this.#drawn = [];
    return drawn;
  }

  lead(source: Draw): void {
    this.#source = source;
  }
}

/**
 * Draws of a recorded step. One that no longer fits (a shorter list to pick from) is brought into range; once
 * the record is at its end every draw is 0, the quiet one: so a step can lose draws and stay a step.
 */
export function recorded(draws: readonly number[]): Draw {
  let at = 0;
  return (n) => {
    const value = draws[at] ?? 0;
    at += 1;
    return Math.min(value, n - 1);
  };
}

/** Draws of a generator, as a source. */
export function drawsOf(choices: Choices): Draw {
  return (n, p) => (p === null ? choices.int(n) : Number(choices.chance(p)));
}
