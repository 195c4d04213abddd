/** How the words of the command line are read. */
import { InvalidArgumentError } from "commander";

/** As the API server bounds spec.numberOfCopies (api/volume.ts; arguments.test.ts holds them together). */
export const MAX_COPIES = 16;
/** More would be a mistake: a maintenance stops healing. */
const LONGEST_MS = 30 * 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A number of copies. @throws InvalidArgumentError */
export function replicas(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) < 1 || Number(text) > MAX_COPIES) throw new InvalidArgumentError(`a whole number from 1 to ${MAX_COPIES} is wanted`);
  return Number(text);
}

/** A mirror's index, gathered into a list. @throws InvalidArgumentError */
export function mirrors(text: string, before: readonly number[] = []): number[] {
  if (!/^\d{1,2}$/.test(text)) throw new InvalidArgumentError("the index of a mirror is wanted: 0, 1, …");
  return [...before, Number(text)];
}

/** A time like 90s, 30m, 2h, 1d or 1h30m, in ms. @throws InvalidArgumentError */
export function duration(text: string): number {
  const parts = /^(\d+[smhd])+$/.test(text) ? [...text.matchAll(/(\d+)([smhd])/g)] : [];
  const ms = parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * UNIT_MS[unit!]!, 0);
  if (parts.length === 0 || ms === 0 || ms > LONGEST_MS) throw new InvalidArgumentError("a time like 90s, 30m, 2h or 1h30m is wanted, at most 30d");
  return ms;
}
