import assert from "node:assert/strict";
import { test } from "node:test";
import { proveOn, runSeedsOn } from "./parallel.ts";
import { proveBySeeds } from "./proof.ts";
import { runSeeds } from "./seeds.ts";

const options = { from: 1, to: 6, failures: 1, folder: "" };

test("threads bring what one run brings: histories, steps, and how often each thing was exercised", async () => {
  const { seconds: _alone, ...alone } = runSeeds(options);
  const { seconds: _together, ...together } = await runSeedsOn(2, options);
  assert.deepEqual(together, alone);
});

test("planted faults on threads: the same proofs, in the order asked for", async () => {
  const names = ["wiping-left-out", "lease-ignored"];
  assert.deepEqual(
    await proveOn(2, names, 3),
    names.map((name) => proveBySeeds(name, 3)),
  );
});
