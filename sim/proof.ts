/** The proof by mutation: every planted fault is found by the rules, within bounds in which the unchanged code keeps them. */
import { search } from "./exhaustive.ts";
import { MUTATIONS } from "./mutations/mutate.ts";
import { Progress } from "./progress.ts";
import { randomHistory } from "./random.ts";

export interface Proof {
  mutation: string;
  tells: string;
  /** The rule that caught it; null if none did. */
  rule: string | null;
  message: string;
  /** What was gone through until then: seeds, or states of a scene. */
  runs: number;
  of: string;
}

/** Each planted fault with the seeds from 1 to `seeds` at most, or with all that follows from its scene. */
export function prove(names: readonly string[], seeds: number): Proof[] {
  const progress = new Progress();
  const proofs = names.map((mutation) => {
    const show = (runs: number, of: string) => progress.show(() => `${mutation}: ${runs} ${of}`);
    return MUTATIONS[mutation]!.scene ? proveBySearch(mutation, show) : proveBySeeds(mutation, seeds, show);
  });
  progress.close();
  return proofs;
}

type Show = (runs: number, of: string) => void;

/** A seed counts only if the unchanged code keeps every rule in it. */
export function proveBySeeds(mutation: string, seeds: number, show: Show = () => undefined): Proof {
  const { tells } = MUTATIONS[mutation]!;
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { violation } = randomHistory(seed, { mutation }).end;
    if (violation && !randomHistory(seed).end.violation) return { mutation, tells, rule: violation.rule, message: violation.message, runs: seed, of: "seeds" };
    show(seed, "seeds");
  }
  return { mutation, tells, rule: null, message: "", runs: seeds, of: "seeds" };
}

export function proveBySearch(mutation: string, show: Show = () => undefined): Proof {
  const { tells, scene } = MUTATIONS[mutation]!;
  const { name, grain, depth } = scene!;
  const of = `states of ${name}`;
  const bounds = { grain, depth, faults: 0, writes: 0, ticks: 0, livenessEvery: 0, states: 200_000 };
  const { violation, states } = search(name, bounds, { mutation, progress: (figures) => show(figures.states, of) });
  const unchanged = violation && search(name, { ...bounds, depth: violation.history.steps.length - 1 }, { progress: (figures) => show(figures.states, of) });
  const caught = unchanged?.violation === null ? violation : null;
  return { mutation, tells, rule: caught?.violation.rule ?? null, message: caught?.violation.message ?? "", runs: states, of };
}

export function proofTable(proofs: readonly Proof[]): string {
  const rows = [["planted fault", "caught by", "after", "what is wrong"], ...proofs.map((p) => [p.mutation, p.rule ?? "NOTHING", `${p.runs} ${p.of}`, p.tells])];
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => row.map((cell, i) => (i === 3 ? cell : cell.padEnd(widths[i]!))).join("  ")).join("\n");
}
