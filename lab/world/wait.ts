/** Waiting in tests: bounded, and it always says what for. Time-outs scale with the kind of guest. */

/** A machine of two cores with two labs side by side is slow; emulated guests are slower still and raise this. */
let scale = Math.max(1, Number(process.env["MESHSTOR_LAB_SCALE"] ?? "2"));
export function scaleTimeouts(factor: number): void {
  scale = Math.max(scale, factor);
}
export function scaledSeconds(seconds: number): number {
  return seconds * scale;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Repeats `test` until it returns true; the last sentence it gave is in the error. */
export async function eventually(what: string, seconds: number, test: () => Promise<true | string>): Promise<void> {
  const end = Date.now() + seconds * 1000 * scale;
  let sentence = "never looked at";
  for (;;) {
    try {
      const result = await test();
      if (result === true) return;
      sentence = result;
    } catch (error) {
      sentence = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() > end) throw new Error(`waited ${Math.round(seconds * scale)} s for: ${what}; ${sentence}`);
    await sleep(250);
  }
}
