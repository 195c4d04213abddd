/** Sizes in bytes, and how people read and write them. */

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

/** Rounds `bytes` up to a multiple of `step`. */
export function roundUp(bytes: number, step: number): number {
  return Math.ceil(bytes / step) * step;
}

/** Rounds `bytes` down to a multiple of `step`. */
export function roundDown(bytes: number, step: number): number {
  return Math.floor(bytes / step) * step;
}

/** `bytes` for people: `512 MiB`, `1.5 GiB`; exact where it can be said in whole units. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text = Number.isInteger(value) ? String(value) : value.toFixed(1);
  return `${text} ${units[unit]}`;
}
