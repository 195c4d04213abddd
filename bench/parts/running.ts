/** What both programs cost when one node runs many volumes and nothing happens to them. */
import { controllerMB, RSS_GOAL_MB } from "../resident.ts";
import { HOME, type Part } from "../part.ts";
import { sideBySide } from "../side-by-side.ts";
import { atRest, createSingles } from "./rest.ts";

const VOLUMES = 100;
/** Staged side by side; more would only queue. */
const SIDE_BY_SIDE = 2;

export const running: Part = {
  name: "running",
  describe: `memory, CPU and API traffic with ${VOLUMES} volumes of one copy that all run on ${HOME}`,
  async run(bench) {
    const { world, figures, say } = bench;
    const ids = await createSingles(world, VOLUMES);
    say(`${VOLUMES} volumes are made`);
    let staged = 0;
    await sideBySide(ids, SIDE_BY_SIDE, async (id) => {
      await world.node(HOME).stage(id, 300);
      staged += 1;
      if (staged % 20 === 0) say(`${staged} are staged`);
    });
    await atRest(bench, VOLUMES, true);
    figures.atMost(`at rest, ${VOLUMES} volumes that run`, { name: "controller: resident memory", values: [controllerMB(world)], unit: "MB" }, RSS_GOAL_MB);
  },
};
