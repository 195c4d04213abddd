/**
 * Every free choice of the model is drawn here: which step comes next, what breaks, how something ends.
 * A seed (prng.ts), a recorded list or an exhaustive search decides; the model cannot tell.
 */
export interface Choices {
  /** An integer in [0, n). */
  int(n: number): number;
  /** True with probability `p`; nothing is drawn where that is certain. */
  chance(p: number): boolean;
  pick<T>(list: readonly T[]): T;
  shuffle<T>(list: readonly T[]): T[];
}

/** One draw: an integer in [0, n). `p` is the probability of 1 where a yes or no is drawn, else null. */
export type Draw = (n: number, p: number | null) => number;

/** All kinds of choices from one kind of draw. A draw of 0 is always the quiet one: the first, no, the order as it is. */
export function choicesFrom(draw: Draw): Choices {
  const int = (n: number) => (n <= 1 ? 0 : draw(n, null));
  return {
    int,
    chance: (p) => (p <= 0 ? false : p >= 1 ? true : draw(2, p) === 1),
    pick: (list) => list[int(list.length)]!,
    shuffle: (list) => {
      const out = [...list];
      for (let i = out.length - 1; i > 0; i -= 1) {
        const j = i - int(i + 1);
        [out[i], out[j]] = [out[j]!, out[i]!];
      }
      return out;
    },
  };
}
