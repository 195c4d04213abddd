import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Runs, timeLeft } from "./time-left.ts";

test("within 25 % of the truth from 20 % on, at a load that is constant but for noise, also seen late and for several mirrors", () => {
  const mirror = fc.record({ total: fc.integer({ min: 100_000, max: 10_000_000 }), seconds: fc.integer({ min: 60, max: 36_000 }) });
  const noise = fc.array(fc.double({ min: 0.9, max: 1.1, noNaN: true }), { minLength: 60, maxLength: 60 });
  fc.assert(
    fc.property(fc.array(mirror, { minLength: 1, maxLength: 3 }), noise, fc.double({ min: 0, max: 0.15, noNaN: true }), (mirrors, factors, late) => {
      const longest = Math.max(...mirrors.map((m) => m.seconds));
      // Noise around a constant rate: how far it is at each of 60 moments, scaled so that it ends in time.
      const sum = factors.reduce((a, b) => a + b, 0);
      let runs: Runs = {};
      let share = 0;
      factors.forEach((factor, i) => {
        const at = (longest * (i + 1)) / factors.length;
        share += factor / sum;
        if (share < late || share >= 0.999) return;
        // All of them at the longest one's pace: the volume is done when the last one is.
        const samples = mirrors.map((m, k) => ({ key: `md${k}`, done: Math.floor(share * m.total), total: m.total }));
        const next = timeLeft(runs, samples, at * 1000);
        runs = next.runs;
        if (share < 0.2 || i < 3 || next.secondsLeft === null) return;
        const truth = longest - at;
        if (share < 0.95) assert.ok(Math.abs(next.secondsLeft - truth) <= 0.25 * truth + 1, `${next.secondsLeft} s at ${share}, in truth ${truth}`);
      });
    }),
    { numRuns: 200 },
  );
});

test("nothing runs, a young run, one that begins anew", () => {
  assert.deepEqual(timeLeft({}, [], 0), { runs: {}, secondsLeft: null });
  const first = timeLeft({}, [{ key: "md0", done: 10, total: 110 }], 0);
  assert.deepEqual(first, { runs: { md0: { total: 110, done: 10, atMs: 0, lastDone: 10 } }, secondsLeft: null });
  assert.equal(timeLeft(first.runs, [{ key: "md0", done: 60, total: 110 }], 1_999).secondsLeft, null);
  const later = timeLeft(first.runs, [{ key: "md0", done: 60, total: 110 }], 5_000);
  assert.equal(later.secondsLeft, 5);
  assert.deepEqual(timeLeft(later.runs, [{ key: "md0", done: 20, total: 110 }], 6_000), {
    runs: { md0: { total: 110, done: 20, atMs: 6_000, lastDone: 20 } },
    secondsLeft: null,
  });
});
