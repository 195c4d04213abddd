/** What the bench says of one quantity, and how it is judged. Goals come from the design; constants from the code itself. */

export type Verdict = "met" | "missed" | "shown";

export interface Figure {
  readonly part: string;
  readonly name: string;
  /** Empty where there is nothing to meet. */
  readonly goal: string;
  readonly measured: string;
  readonly verdict: Verdict;
  /** The single measurements behind it. */
  readonly values: readonly number[];
  readonly unit: string;
}

/** A quantity: its measurements, what stands for them, and the unit both have. */
export interface Sample {
  readonly name: string;
  readonly values: readonly number[];
  readonly unit: string;
  /** Which of them is judged; the median unless told. */
  readonly by?: "median" | "worst";
}

/** Collects figures of one part, and says each as it comes. */
export class Figures {
  readonly all: Figure[] = [];
  readonly #say: (figure: Figure) => void;

  constructor(say: (figure: Figure) => void) {
    this.#say = say;
  }

  /** The value must be at most `limit`. */
  atMost(part: string, sample: Sample, limit: number, goal?: string): void {
    this.#judge(part, sample, goal ?? `≤ ${amount(limit, sample.unit)}`, (value) => value <= limit, Math.max);
  }

  /** The value must be at least `limit`. */
  atLeast(part: string, sample: Sample, limit: number, goal?: string): void {
    this.#judge(part, sample, goal ?? `≥ ${amount(limit, sample.unit)}`, (value) => value >= limit, Math.min);
  }

  /** No goal: context for the others. */
  show(part: string, sample: Sample): void {
    this.#add({ part, ...plain(sample), goal: "", measured: text(sample, Math.max), verdict: "shown" });
  }

  /** Words instead of a number. */
  fact(part: string, name: string, measured: string, judged?: { goal: string; holds: boolean }): void {
    this.#add({ part, name, values: [], unit: "", goal: judged?.goal ?? "", measured, verdict: judged === undefined ? "shown" : judged.holds ? "met" : "missed" });
  }

  #judge(part: string, sample: Sample, goal: string, holds: (value: number) => boolean, worst: (...values: number[]) => number): void {
    const value = sample.by === "worst" ? worst(...sample.values) : median(sample.values);
    const met = sample.values.length > 0 && holds(value);
    this.#add({ part, ...plain(sample), goal, measured: text(sample, worst), verdict: met ? "met" : "missed" });
  }

  #add(figure: Figure): void {
    this.all.push(figure);
    this.#say(figure);
  }
}

function plain(sample: Sample): Pick<Figure, "name" | "values" | "unit"> {
  return { name: sample.name, values: sample.values, unit: sample.unit };
}

function text(sample: Sample, worst: (...values: number[]) => number): string {
  if (sample.values.length === 0) return "not measured";
  const middle = amount(median(sample.values), sample.unit);
  return sample.values.length === 1 ? middle : `${middle} (worst of ${sample.values.length}: ${amount(worst(...sample.values), sample.unit)})`;
}

/** The middle value; NaN of none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) / 2;
  return (sorted[Math.floor(at)]! + sorted[Math.ceil(at)]!) / 2;
}

/** A number with as many digits as it deserves. */
export function amount(value: number, unit: string): string {
  const digits = value !== 0 && Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  const rounded = Number.isInteger(value) ? String(value) : value.toFixed(digits);
  return unit === "%" || unit === "×" ? `${rounded} ${unit}` : `${rounded} ${unit}`.trim();
}
