/** The kernel's way of removing arrays is as it has to be all the while an array is stopped or started, whatever comes side by side. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as soon } from "node:timers/promises";
import fc from "fast-check";
import { Removal } from "./removal.ts";

/** A parameter that takes its turns to be read and written, as a file through the thread pool does. */
function parameter(turns: () => number) {
  const pause = async (): Promise<void> => {
    for (let left = turns(); left > 0; left -= 1) await soon();
  };
  const state = { value: "Y" };
  return {
    state,
    read: async () => (await pause(), state.value),
    write: async (value: string) => {
      await pause();
      state.value = value;
      await pause();
    },
  };
}

test("N all the while an array stops, Y all the while one starts, Y at the end", async () => {
  const job = fc.record({ way: fc.constantFrom("stops" as const, "starts" as const), after: fc.nat(12), lasts: fc.nat(6), fails: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(job, { minLength: 1, maxLength: 8 }), fc.array(fc.nat(3), { minLength: 1, maxLength: 40 }), async (jobs, pauses) => {
      let drawn = 0;
      const kernel = parameter(() => pauses[drawn++ % pauses.length]!);
      const removal = new Removal(kernel);
      const wrong: string[] = [];
      const all = jobs.map(async ({ way, after, lasts, fails }) => {
        for (let i = 0; i < after; i += 1) await soon();
        await removal.run(way, async () => {
          for (let i = 0; i <= lasts; i += 1) {
            if (kernel.state.value !== (way === "stops" ? "N" : "Y")) wrong.push(`${way} with ${kernel.state.value}`);
            await soon();
          }
          if (fails) throw new Error("mdadm failed");
        });
      });
      await Promise.allSettled(all);
      assert.deepEqual({ wrong, left: kernel.state.value }, { wrong: [], left: "Y" });
    }),
  );
});

test("a kernel without the parameter: at once, and it is never written", async () => {
  const removal = new Removal({ read: async () => null, write: () => assert.fail("written") });
  const order: string[] = [];
  await Promise.all([removal.run("stops", async () => (await soon(), order.push("stopped"))), removal.run("starts", async () => order.push("started"))]);
  assert.deepEqual(order, ["started", "stopped"]);
});
