/** The planted faults that are found soon; `npm run sim -- mutations` goes through all of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { proofTable, proveBySeeds } from "../proof.ts";
import { mutated, MUTATIONS } from "./mutate.ts";
import { createWorld } from "../../src/core/testing/model.ts";

/** Not within thirty seeds, or only in a scene. */
const LATE: ReadonlySet<string> = new Set([
  "connection-not-given-up",
  "export-before-drain",
  "export-made-again",
  "connection-used-again",
  "bare-re-add",
  "clean-stop-claimed",
  "epoch-not-compared",
]);

test("planted faults are found within thirty seeds that the unchanged code passes", () => {
  const proofs = Object.keys(MUTATIONS)
    .filter((name) => !LATE.has(name))
    .map((name) => proveBySeeds(name, 30));
  assert.deepEqual(
    proofs.filter(({ rule }) => rule === null).map(({ mutation }) => mutation),
    [],
    proofTable(proofs),
  );
});

test("an unknown fault is refused, and the known ones are named", () => {
  assert.throws(() => mutated("none", createWorld({ seed: 1, copies: 1, stripes: 1 }).protocol), /no planted fault none; there are release-before-record, /);
});
