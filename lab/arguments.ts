/** How the words of the lab's command line are read. */
import { InvalidArgumentError } from "commander";

/** A number of things, 1 to 99. @throws InvalidArgumentError */
export function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 99) throw new InvalidArgumentError("a number from 1 to 99 is wanted");
  return value;
}

/** A guest's memory in MiB. @throws InvalidArgumentError */
export function memory(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 256) throw new InvalidArgumentError("MiB, at least 256");
  return value;
}

/** A size like 512M or 8G, in bytes. @throws InvalidArgumentError */
export function bytes(text: string): number {
  const [, digits, unit] = /^(\d+)([MGT])i?B?$/i.exec(text) ?? [];
  if (digits === undefined || unit === undefined) throw new InvalidArgumentError("a size like 512M or 8G is wanted");
  return Number(digits) * 1024 ** ("MGT".indexOf(unit.toUpperCase()) + 2);
}
