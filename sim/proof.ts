/** The proof by mutation: every planted fault is found by the rules within a number of seeds that the unchanged code passes. */
import { randomHistory } from "./random.ts";
import { MUTATIONS } from "./mutations/mutate.ts";
import { Progress } from "./progress.ts";

export interface Proof {
  mutation: string;
  tells: string;
  /** The rule that caught it; null if none did. */
  rule: string | null;
  message: string;
  /** Seeds until then. */
  seeds: number;
}

/** Each planted fault with the seeds from 1 to `seeds` at most. */
export function prove(names: readonly string[], seeds: number): Proof[] {
  const progress = new Progress();
  const proofs = names.map((mutation) => proveOne(mutation, seeds, (seed) => progress.show(() => `${mutation}: seed ${seed}`)));
  progress.close();
  return proofs;
}

export function proveOne(mutation: string, seeds: number, show: (seed: number) => void = () => undefined): Proof {
  const { tells } = MUTATIONS[mutation]!;
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { violation } = randomHistory(seed, { mutation }).end;
    if (violation) return { mutation, tells, rule: violation.rule, message: violation.message, seeds: seed };
    show(seed);
  }
  return { mutation, tells, rule: null, message: "", seeds };
}

export function proofTable(proofs: readonly Proof[]): string {
  const rows = [["planted fault", "caught by", "seeds", "what is wrong"], ...proofs.map((p) => [p.mutation, p.rule ?? "NOTHING", String(p.seeds), p.tells])];
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => row.map((cell, i) => (i === 3 ? cell : i === 2 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join("  ")).join("\n");
}
