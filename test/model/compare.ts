/** One history on both sides: the lab does what the model did, and at every rest both show the same. */
import { createVolume } from "../../lab/world/volumes.ts";
import { eventually } from "../../lab/world/wait.ts";
import type { World } from "../../lab/world/world.ts";
import { differences } from "./facts.ts";
import type { ModelHistory } from "./history.ts";
import { LabSide } from "./lab-side.ts";

/** How long the lab may take to come to where the model rests; bitmaps are cleared seconds after the last write. */
const REST_S = 90;

/** Throws where the lab does not come to rest as the model did; says each event. */
export async function compare(world: World, history: ModelHistory, say: (line: string) => void): Promise<number> {
  const id = await createVolume(world, `pvc-model-${history.seed}`, { parameters: { numberOfCopies: String(history.copies) } });
  const lab = await LabSide.of(world, id);
  let [compared, begun] = [0, performance.now()];
  for (const [i, event] of history.events.entries()) {
    await lab.event(event);
    if (event === "settle") {
      const wanted = history.facts[compared]!;
      const since = history.events.slice(history.events.slice(0, i).lastIndexOf("settle") + 1, i);
      await eventually(`the lab rests as the model does after ${since.join("; ")} (history ${history.seed}, rest ${compared + 1})`, REST_S, async () => {
        const found = differences(wanted, await lab.facts());
        return found.length === 0 || `\n  ${found.join("\n  ")}\n`;
      });
      compared += 1;
    }
    say(`${((performance.now() - begun) / 1_000).toFixed(1)} s ${event}`);
    begun = performance.now();
  }
  return compared;
}
