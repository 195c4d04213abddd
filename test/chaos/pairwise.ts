/** Pairwise cover: few cases in which every pair of values of two axes occurs that can occur at all. Pure. */

/** Axes by name, each with its values. */
export type Axes = Readonly<Record<string, readonly string[]>>;

/** One value of every axis. */
export type CaseOf<A extends Axes> = { readonly [K in keyof A]: A[K][number] };

/** All cases that `possible` allows, in the order of the axes' values. */
export function allCases<A extends Axes>(axes: A, possible: (each: CaseOf<A>) => boolean = () => true): CaseOf<A>[] {
  const cases = Object.entries(axes).reduce<Record<string, string>[]>(
    (begun, [name, values]) => begun.flatMap((each) => values.map((value) => ({ ...each, [name]: value }))),
    [{}],
  );
  return (cases as CaseOf<A>[]).filter(possible);
}

/** The pairs of values in a case, each as a text. */
export function pairsOf(each: Readonly<Record<string, string>>): string[] {
  const values = Object.entries(each).map(([name, value]) => `${name}=${value}`);
  return values.flatMap((a, at) => values.slice(at + 1).map((b) => `${a} ${b}`));
}

/**
 * A cover of all pairs that occur in some possible case and not in `proven`: of all cases, the one with most uncovered pairs is taken, again
 * and again; of equals the first. The same axes give the same cover.
 */
export function pairwise<A extends Axes>(axes: A, possible?: (each: CaseOf<A>) => boolean, proven: readonly CaseOf<A>[] = []): CaseOf<A>[] {
  const candidates = allCases(axes, possible).map((each) => ({ each, pairs: pairsOf(each) }));
  const done = new Set(proven.flatMap(pairsOf));
  const open = new Set(candidates.flatMap(({ pairs }) => pairs).filter((pair) => !done.has(pair)));
  const cover: CaseOf<A>[] = [];
  while (open.size > 0) {
    const gains = candidates.map(({ pairs }) => pairs.reduce((sum, pair) => sum + Number(open.has(pair)), 0));
    const best = candidates[gains.indexOf(Math.max(...gains))]!;
    for (const pair of best.pairs) open.delete(pair);
    cover.push(best.each);
  }
  return cover;
}
