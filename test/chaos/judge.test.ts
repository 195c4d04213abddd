import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { judgeRecords, judgeRegisters } from "./judge.ts";

test("records: all that was acknowledged is there, in order", () => {
  const found = {
    count: 30,
    bad: 0,
    runs: [
      { run: 1, last: 20 },
      { run: 3, last: 10 },
    ],
  };
  const claims = [
    { run: 1, acknowledged: 19 },
    { run: 2, acknowledged: 0 },
    { run: 3, acknowledged: 10 },
  ];
  assert.deepEqual(judgeRecords(claims, found), []);
});

test("records: lost, torn, out of order", () => {
  const found = {
    count: 30,
    bad: 2,
    runs: [
      { run: 3, last: 10 },
      { run: 1, last: 20 },
    ],
  };
  assert.deepEqual(judgeRecords([{ run: 1, acknowledged: 21 }], found), [
    "2 blocks of the file are no whole record in its place",
    "the runs are out of order: 3, 1",
    "lost: run 1 was acknowledged up to record 21, 20 are there",
  ]);
});

const report = (...lines: string[]) => ({ text: `${lines.join("\n")}\n` });

test("registers: what was acknowledged or read binds later reads, also those of the next owner", () => {
  const first = report("w 1 11 5", "W 1 11 6", "w 1 19 7", "r 1 1 8", "R 1 1 11 9", "w 1 27 1");
  assert.deepEqual(judgeRegisters([first, report("r 1 1 20", "R 1 1 27 21", "r 2 1 22", "R 2 1 27 23")]), { acknowledged: 1, reads: 3, wrong: [] });
  assert.deepEqual(judgeRegisters([first, report("r 1 1 20", "R 1 1 27 21", "r 2 1 22", "R 2 1 19 23", "r 3 2 23", "R 3 2 -1 24", "r 4 1")]), {
    acknowledged: 1,
    reads: 4,
    wrong: ["register 1 went back in time: 19 was read where 27 had been acknowledged or read (read 2)", "register 2 was read torn (read 3)"],
  });
});

test("registers: a read is bound by what was known when it began, and a fenced owner's acknowledgements bind the next owner", () => {
  assert.deepEqual(judgeRegisters([report("r 1 1 1", "w 1 5 1", "W 1 5 2", "R 1 1 0 3")]).wrong, []);
  const zombie = { ...report("r 1 1 1", "R 1 1 0 2", "W 1 9 100", "r 2 1 101", "R 2 1 0 102"), readsUntilMs: 50 };
  assert.deepEqual(judgeRegisters([zombie, report("r 1 1 60", "R 1 1 0 61")]), {
    acknowledged: 1,
    reads: 2,
    wrong: ["register 1 went back in time: 0 was read where 9 had been acknowledged or read (read 1)"],
  });
});

test("registers: a true history of a single copy is never found wrong; one old value in it always is", () => {
  const operations = fc.array(fc.record({ register: fc.nat(2), write: fc.boolean() }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(operations, fc.nat(), (ops, cut) => {
      const now = [0, 0, 0];
      const lines = ops.flatMap(({ register, write }, at) => {
        if (!write) return [`r ${at} ${register} 1`, `R ${at} ${register} ${now[register]} 1`];
        now[register] = at + 1;
        return [`w ${register} ${at + 1} 1`, `W ${register} ${at + 1} 1`];
      });
      const split = cut % (lines.length / 2 + 1);
      const reports = [report(...lines.slice(0, split * 2)), report(...lines.slice(split * 2))];
      assert.deepEqual(judgeRegisters(reports).wrong, []);
      const stale = now.findIndex((value) => value > 0);
      if (stale >= 0) assert.equal(judgeRegisters([...reports, report(`r 1 ${stale} 1`, `R 1 ${stale} ${now[stale]! - 1} 1`)]).wrong.length, 1);
    }),
  );
});
