/** What set-up tells the person who waits for it: one line per fact, on stderr. */

/** Prints one line, prefixed so that its origin is clear. */
export function say(line: string): void {
  process.stderr.write(`setup: ${line}\n`);
}

/** Runs a long step with a first line, a line with the elapsed time every 15 s, and a last line with the total. */
export async function withProgress<T>(what: string, expected: string, step: () => Promise<T>): Promise<T> {
  const start = Date.now();
  const elapsed = (): string => `${Math.round((Date.now() - start) / 1000)} s`;
  say(`${what} (about ${expected}) ...`);
  const timer = setInterval(() => say(`${what}: ${elapsed()}`), 15_000);
  try {
    const result = await step();
    say(`${what}: done in ${elapsed()}`);
    return result;
  } finally {
    clearInterval(timer);
  }
}
