/**
 * Whether partitions fit into the holes of a drive. Partitions that are promised but not made yet
 * compete with the new one; the question is whether there is a way to put all of them. Asked like
 * this (and not by packing in one fixed order) more space can never turn a yes into a no.
 */
import { MiB, roundDown } from "../../base/units.ts";

/** Steps after which the search for a packing gives up and says no; never met with fewer than about ten promises a drive. */
const SEARCH_STEPS = 5_000;

/** True if there is a way to put all `sizes` into the holes. */
export function fits(holes: readonly number[], sizes: readonly number[]): boolean {
  const items = sizes.toSorted((a, b) => b - a);
  const room = holes.toSorted((a, b) => a - b);
  const wanted = items.reduce((sum, size) => sum + size, 0);
  const offered = room.reduce((sum, size) => sum + size, 0);
  return wanted <= offered && place(room, items, 0, { left: SEARCH_STEPS });
}

/** Depth-first: the biggest first, each into its tightest hole first; holes of equal size are tried once. */
function place(room: number[], items: readonly number[], index: number, steps: { left: number }): boolean {
  const size = items[index];
  if (size === undefined) return true;
  const tried = new Set<number>();
  const order = room.map((free, hole) => ({ free, hole })).toSorted((a, b) => a.free - b.free);
  for (const { free, hole } of order) {
    if (free < size || tried.has(free)) continue;
    tried.add(free);
    if (steps.left <= 0) return false;
    steps.left -= 1;
    room[hole] = free - size;
    const placed = place(room, items, index + 1, steps);
    room[hole] = free;
    if (placed) return true;
  }
  return false;
}

/** Size in whole MiB of the biggest partition that fits beside the promised ones; 0 if none does. */
export function biggestFit(holes: readonly number[], promised: readonly number[]): number {
  let low = 0;
  let high = roundDown(Math.max(0, ...holes), MiB);
  while (low < high) {
    const size = roundDown(low + (high - low) / 2 + MiB / 2, MiB);
    if (fits(holes, [...promised, size])) low = size;
    else high = size - MiB;
  }
  return low;
}

/** What stays of the tightest hole that takes the partition; null if none does. */
export function leftover(holes: readonly number[], size: number): number | null {
  const candidates = holes.filter((hole) => hole >= size);
  return candidates.length === 0 ? null : Math.min(...candidates) - size;
}
