/**
 * Faults one after another in one world, each on a volume of its own under load: no acknowledged record is lost, no read goes back in
 * time, members are equal, and the volume is healthy again by itself. The other faults: `npm run chaos -- --list`.
 * @minutes 20
 */
import { after, before } from "node:test";
import { World } from "../../lab/world/world.ts";
import { faultOf } from "../chaos/faults.ts";
import { Stage } from "../chaos/stage.ts";
import { inOrder } from "../in-order.ts";

const SHORT = ["owner-power-taken", "owner-frozen-taken", "all-power", "cut-to-provider"];

/** A case that failed leaves its fault behind. */
const test = inOrder();

let world: World;

before(async () => {
  world = await World.up();
});
after(() => world?.down());

for (const [at, name] of SHORT.entries()) {
  const fault = faultOf(name);
  test(`${name}: ${fault.title}`, async (t) => {
    const stage = await Stage.up(world, `pvc-chaos-${at}`, { copies: 2, stripe: 1 }, (line) => t.diagnostic(line));
    const { acknowledged, reads, pauseMs, healthyMs } = await stage.play(fault);
    t.diagnostic(`${acknowledged} acknowledged writes and ${reads} reads hold; longest pause ${pauseMs} ms; healthy after ${healthyMs} ms`);
  });
}
