/** Tests that carry out histories in the model and in one lab, one after the other. */
import { after, before, test } from "node:test";
import { ACTION_KINDS } from "../../src/core/action.ts";
import { World } from "../../lab/world/world.ts";
import { compare } from "./compare.ts";
import { EPISODE_NAMES, makeHistory } from "./history.ts";
import { traces } from "../../lab/world/inspect.ts";
import assert from "node:assert/strict";

/** One test for each seed of `A..B`, and the ledger: episodes and actions that were compared, and those that were not. */
export function compareHistories(range: string): void {
  const [first = 1, last = first] = range.split("..").map(Number);
  const told = new Map<string, number>();
  const histories = Array.from({ length: last }, (_, i) => makeHistory(i + 1, told)).slice(first - 1);
  const done: typeof histories = [];
  let world: World;
  let broken = false;
  before(async () => {
    world = await World.up();
  });
  after(() => world?.down());
  for (const history of histories)
    test(`history ${history.seed}: ${history.copies} copies, ${history.episodes.join(", then ")}`, async (t) => {
      // What a divergence leaves behind is nobody's to go on with.
      if (broken) {
        await world.down();
        world = await World.up();
      }
      broken = true;
      const rests = await compare(world, history, (line) => console.log(`  history ${history.seed}: ${line}`));
      for (const name of world.names) assert.deepEqual(await traces(world.lab.guest(name)), [], `nothing is left on ${name}`);
      broken = false;
      done.push(history);
      t.diagnostic(`compared at ${rests} rests`);
    });
  test("ledger", (t) => {
    const actions = new Set(done.flatMap((h) => Object.keys(h.actions)));
    const episodes = new Set(done.flatMap((h) => h.episodes));
    const never = (all: readonly string[], some: ReadonlySet<string>) => all.filter((name) => !some.has(name)).join(", ") || "none";
    t.diagnostic(`${done.length} histories alike; episodes ${episodes.size} of ${EPISODE_NAMES.length}, never: ${never(EPISODE_NAMES, episodes)}`);
    t.diagnostic(`actions ${actions.size} of ${ACTION_KINDS.length}, never: ${never(ACTION_KINDS, actions)}`);
  });
}
