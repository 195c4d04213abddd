/** What every part of the bench is, and what it is given. */
import type { World } from "../lab/world/world.ts";
import type { Figures } from "./figure.ts";

export interface Bench {
  readonly world: World;
  readonly figures: Figures;
  /** One line of what is being done. */
  say(line: string): void;
}

/** A part finds no volume and leaves none, unless it is the last one. */
export interface Part {
  readonly name: string;
  readonly describe: string;
  run(bench: Bench): Promise<void>;
}

export const MiB = 1024 ** 2;
export const GiB = 1024 ** 3;

/** The node that runs the workload and holds one copy; the other copy is where the product places it. */
export const HOME = "n1";
/** Index of the drive on each node that is not given to the product: the contestants' own. */
export const SPARE_DRIVE = 2;
