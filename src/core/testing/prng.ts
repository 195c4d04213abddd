/** A small seeded generator of pseudo-random choices (mulberry32): the same seed, the same history. */
import type { Choices } from "./choices.ts";
import { choicesFrom } from "./choices.ts";

export function prng(seed: number): Choices {
  let state = (seed * 2_654_435_761 + 0x9e3779b9) >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return choicesFrom((n, p) => (p === null ? Math.floor(next() * n) : next() < p ? 1 : 0));
}
