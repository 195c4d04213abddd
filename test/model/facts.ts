/**
 * What is compared between the model and the lab where both have come to rest: the record, the array as its owner's kernel
 * shows it, and what lies on the drives. Nodes are called by their part in the history (a, b: the first two copies; c),
 * generations and numbers of connections are left out where only their order says something. Pure.
 */

/** One node's copy as it lies on its drive. */
export interface CopyFacts {
  /** Its superblock is of the recorded array. */
  member: boolean;
  /** Place of its event count in the order of all counts: 0 is the lowest. */
  events: number;
  /** Registers whose chunk is marked in its bitmap. */
  dirty: number[];
  /** Number of the write that each register carries; 0 is zeroes. */
  registers: number[];
}

export interface Facts {
  owner: string | null;
  epoch: number;
  lastStop: string | null;
  former: string[];
  R: string[];
  generation: number;
  /** By node: state, and the generation of the claim on the bitmap. */
  partitions: Record<string, string>;
  /** Nodes on which the volume is staged. */
  staged: string[];
  /** Members of the array on its owner, by node: what MD takes each for. */
  array: Record<string, string>;
  slots: number;
  copies: Record<string, CopyFacts | null>;
}

/** Registers of the application, each in a chunk of its own; block 0 of the model is the filesystem's. */
export const REGISTERS: readonly number[] = [1, 2, 3];

/** Place of each count among all that there are. */
export function ranks(counts: readonly number[]): number[] {
  const order = [...new Set(counts)].sort((a, b) => a - b);
  return counts.map((count) => order.indexOf(count));
}

/** The state of a partition in one word or two. */
export function stateText({ state, outSince, half }: { state: string; outSince?: number; half?: boolean }): string {
  return [state, ...(outSince === undefined ? [] : [`out since ${outSince}`]), ...(half === true ? ["half"] : [])].join(", ");
}

/** Where two differ, one line each: `name: model …, lab …`. */
export function differences(model: Facts, lab: Facts): string[] {
  return Object.keys(model).flatMap((key) => {
    const [ours, theirs] = [model[key as keyof Facts], lab[key as keyof Facts]].map((value) => JSON.stringify(value, sorted));
    return ours === theirs ? [] : [`${key}: model ${ours}, lab ${theirs}`];
  });
}

function sorted(_key: string, value: unknown): unknown {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a.localeCompare(b))) : value;
}
