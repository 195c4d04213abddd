/** When a guest moves to another processor. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseMove, readTimes } from "./balance.ts";

const busy = (...shares: number[]) => new Map(shares.map((share, cpu) => [cpu, share]));
const guest = (leader: number, cpu: number, share: number) => ({ leader, cpu, share });

test("one of a full processor moves to one that has time, and never so much that the other is full then", () => {
  const guests = [guest(10, 0, 0.6), guest(11, 0, 0.35), guest(12, 1, 0.2)];
  assert.deepEqual(chooseMove(busy(1, 0.3), guests), { leader: 11, to: 1 });
  assert.deepEqual(chooseMove(busy(1, 0.3), [guest(10, 0, 0.98), guest(12, 1, 0.2)]), null, "it is alone there");
  assert.deepEqual(chooseMove(busy(1, 0.3), [guest(10, 0, 0.98), guest(11, 0, 0.01)]), null, "the other one is idle");
  assert.deepEqual([chooseMove(busy(0.9, 0.1), guests), chooseMove(busy(1, 0.8), guests), chooseMove(new Map(), guests)], [null, null, null]);
});

test("times of the processors", () => {
  const stat = "cpu  30 0 30 200 10 0 0 0 0 0\ncpu0 10 0 10 100 5 0 1 2 0 0\ncpu1 20 0 20 100 5 0 0 0 0 0\nintr 1 2\n";
  assert.deepEqual(
    readTimes(stat),
    new Map([
      [0, { busy: 23, total: 128 }],
      [1, { busy: 40, total: 145 }],
    ]),
  );
});
