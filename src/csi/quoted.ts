/** A value of a caller inside a sentence: quoted, control characters escaped, and not longer than a sentence bears. */
export function quoted(value: string): string {
  const longest = 64;
  return JSON.stringify(value.length > longest ? `${value.slice(0, longest)}…` : value);
}
