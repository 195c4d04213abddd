/** Tests that carry out histories in the model and in one lab, one after the other. */
import { after, before, test } from "node:test";
import { ACTION_KINDS } from "../../src/core/action.ts";
import { World } from "../../lab/world/world.ts";
import { compare } from "./compare.ts";
import { EPISODE_NAMES, makeHistory } from "./history.ts";
import { traces } from "../../lab/world/inspect.ts";
import assert from "node:assert/strict";

/** `1..3,7`: 1, 2, 3 and 7. */
function seedsOf(list: string): Set<number> {
  return new Set(
    list.split(",").flatMap((range) => {
      const [first = 1, last = first] = range.split("..").map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    }),
  );
}

/** One test for each seed of a list as `1..3,7`, and the ledger: episodes and actions that were compared, and those that were not. */
export function compareHistories(list: string): void {
  const seeds = seedsOf(list);
  const told = new Map<string, number>();
  // What a history tells depends on those before it, so all of them are made.
  const histories = Array.from({ length: Math.max(...seeds) }, (_, i) => makeHistory(i + 1, told)).filter(({ seed }) => seeds.has(seed));
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
      const say = (line: string) => console.log(`  history ${history.seed}: ${line}`);
      const rests = await compare(world, history, say).catch((error: Error) => {
        say(error.message);
        throw error;
      });
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
