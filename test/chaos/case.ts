/** The axes of the proof, and the worlds that cases need. */
import { crc32 } from "node:zlib";
import type { NodeSpec } from "../../lab/cluster.ts";
import { FAULTS, faultOf } from "./faults.ts";
import { allCases, pairwise, type CaseOf } from "./pairwise.ts";

export const AXES = {
  fault: FAULTS.map(({ name }) => name),
  copies: ["2", "3"],
  drives: ["plain", "striped"],
  kernel: ["6.12", "7.2", "mixed"],
  guests: ["process", "emulated"],
} as const;

export type Case = CaseOf<typeof AXES>;

/** With emulated guests one node of the three is an emulated one; a whole world of them is too slow for the product's bounds. */
const possible = (each: Case): boolean => each.guests === "process" || faultOf(each.fault).only !== "process";

/** Values that a caller insists on, by axis. */
export type Only = { readonly [K in keyof Case]?: readonly string[] };

const wanted =
  (only: Only) =>
  (each: Case): boolean =>
    possible(each) && Object.entries(only).every(([axis, values]) => values.includes(each[axis as keyof Case]));

export function everyCase(only: Only = {}): Case[] {
  return allCases(AXES, wanted(only));
}

/** The pairwise cover of what these cases do not prove, cases of one world behind each other. */
export function coverOf(only: Only = {}, proven: readonly Case[] = []): Case[] {
  return pairwise(AXES, wanted(only), proven).toSorted((a, b) => worldOf(a).localeCompare(worldOf(b)));
}

/** What a case is called in the ledger. */
export function nameOf(each: Case): string {
  return [each.fault, each.copies, each.drives, each.kernel, each.guests].join("/");
}

/** The case of this name; null for a name from before an axis or a value was changed. */
export function caseNamed(name: string): Case | null {
  const values = name.split("/");
  const axes = Object.entries(AXES) as [keyof Case, readonly string[]][];
  if (values.length !== axes.length || axes.some(([, known], at) => !known.includes(values[at]!))) return null;
  return Object.fromEntries(axes.map(([axis], at) => [axis, values[at]])) as Case;
}

/** Cases with the same text can use the same world. */
export function worldOf({ guests, kernel }: Case): string {
  return `${guests === "process" ? 0 : 1} ${guests} ${kernel}`;
}

/** Who plays owner, first provider and third node: the same for the same case, not the same for all. */
export function partsOf(each: Case): string[] {
  const names = ["n1", "n2", "n3"];
  const turn = crc32(nameOf(each)) % names.length;
  return [...names.slice(turn), ...names.slice(0, turn)];
}

const SIZE = 2 * 1024 ** 3;
const DRIVE = { size: SIZE, volatileCache: true };

/** The nodes of a case's world. */
export function nodesOf({ guests, kernel }: Case): NodeSpec[] {
  const kernels = kernel === "mixed" ? ["6.12", "7.2", "6.12"] : [kernel, kernel, kernel];
  return kernels.map((series, at) => ({
    name: `n${at + 1}`,
    kernel: series,
    ...(guests === "emulated" && at === 1 ? { kind: "emulated" as const, drives: [{ size: SIZE }, { size: SIZE }] } : { drives: [DRIVE, DRIVE] }),
  }));
}
