import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as soon } from "node:timers/promises";
import fc from "fast-check";
import { OneKind } from "./one-kind.ts";

/** Work that ends when it is told to, and says when it began and ended. */
function works(lock: OneKind<string>) {
  const told: string[] = [];
  const ends = new Map<string, () => void>();
  const start = (kind: string, name: string): Promise<void> =>
    lock.run(kind, async () => {
      told.push(`${name} begins`);
      await new Promise<void>((end) => ends.set(name, end));
      told.push(`${name} ends`);
    });
  const end = async (name: string): Promise<void> => {
    ends.get(name)!();
    await soon();
  };
  return { told, start, end };
}

test("the same kind runs side by side; another kind waits for all of them, and who comes later waits behind it", async () => {
  const { told, start, end } = works(new OneKind());
  const all = [start("stop", "stop 1"), start("stop", "stop 2"), start("start", "start 1"), start("stop", "stop 3")];
  await soon();
  await end("stop 1");
  await end("stop 2");
  await end("start 1");
  await end("stop 3");
  await Promise.all(all);
  assert.deepEqual(told, ["stop 1 begins", "stop 2 begins", "stop 1 ends", "stop 2 ends", "start 1 begins", "start 1 ends", "stop 3 begins", "stop 3 ends"]);
});

test("an error is passed on and lets the next one in", async () => {
  const lock = new OneKind<string>();
  const failed = lock.run("stop", () => Promise.reject(new Error("busy")));
  const next = lock.run("start", () => Promise.resolve("made"));
  await assert.rejects(failed, new Error("busy"));
  assert.equal(await next, "made");
});

test("never two kinds at once, and everything runs", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ kind: fc.constantFrom("a", "b", "c"), turns: fc.nat(3) }), { maxLength: 20 }), async (wanted) => {
      const lock = new OneKind<string>();
      const running: string[] = [];
      let ended = 0;
      await Promise.all(
        wanted.map(({ kind, turns }) =>
          lock.run(kind, async () => {
            running.push(kind);
            for (let turn = 0; turn < turns; turn += 1) {
              assert.deepEqual(new Set(running), new Set([kind]));
              await soon();
            }
            running.splice(running.indexOf(kind), 1);
            ended += 1;
          }),
        ),
      );
      assert.deepEqual({ ended, running }, { ended: wanted.length, running: [] });
    }),
    { numRuns: 50 },
  );
});
