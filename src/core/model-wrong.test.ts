/** The model's checks find what they are there for: deliberately wrong variants, each on histories that the right one survives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { explore, history, optionsOf } from "./testing/explore.ts";
import { Violation } from "./testing/world.ts";
import { WRONG } from "./testing/wrong.ts";

/** Most histories that are looked through for one mutation. */
const SEEDS = 400;

for (const [name, { wrong, rules, from, kind = "xfs", grows = false }] of Object.entries(WRONG))
  test(`found: ${name}`, () => {
    for (let seed = from; seed < from + SEEDS; seed += 1) {
      const { failure, world } = explore({ ...optionsOf(seed), kind, grows }, 400, wrong);
      if (!failure) continue;
      assert.ok(failure instanceof Violation, `seed ${seed}: ${failure.stack}`);
      assert.ok(rules.includes(failure.rule), `seed ${seed}: ${failure.message}\n${history(world)}`);
      assert.equal(explore({ ...optionsOf(seed), kind, grows }).failure, null, `seed ${seed} without the mutation`);
      return;
    }
    assert.fail(`no history from ${from} to ${from + SEEDS - 1} shows it`);
  });
