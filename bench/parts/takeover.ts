/** From the death of the owner's machine to the volume mounted elsewhere: declared dead, and only silent (I10). */
import { BOUNDS, boundsOf, promiseOf } from "../../src/core/bounds.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { eventually } from "../../lab/world/wait.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import type { World } from "../../lab/world/world.ts";
import { HOME, type Part } from "../part.ts";
import { providerOf } from "./pause.ts";

const ROUNDS = 3;
const STAGE_GOAL_S = 5;
const PART = "takeover";
const TAINT = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute";

export const takeover: Part = {
  name: "takeover",
  describe: `the owner's power is cut, and the other copy's node takes the volume: ${ROUNDS} times declared out of service, once silent`,
  async run(bench) {
    const { world, figures } = bench;
    const id = await createVolume(world, "pvc-takeover", { preferred: [HOME] });
    const nodes = [HOME, providerOf((await world.volume(id))!)] as const;
    const declared: number[] = [];
    // In turn, so that every round begins with a healthy volume and no move.
    for (let round = 0; round < ROUNDS; round += 1) declared.push(await oneRound(world, id, nodes[round % 2]!, nodes[(round + 1) % 2]!, true));
    figures.atMost(PART, { name: "declared dead: NodeStage called → mounted", values: declared, unit: "s", by: "worst" }, STAGE_GOAL_S);
    const silent = await oneRound(world, id, nodes[ROUNDS % 2]!, nodes[(ROUNDS + 1) % 2]!, false);
    const bounds = boundsOf();
    const limit = (BOUNDS.leaseGoneMs.defaultMs + promiseOf(bounds)) / 1000 + STAGE_GOAL_S;
    figures.atMost(
      PART,
      { name: "silent: power cut → mounted", values: [silent], unit: "s" },
      limit,
      `≤ ${limit} s (silence ${bounds.leaseGoneMs / 1000} + promise ${promiseOf(bounds) / 1000} + ${STAGE_GOAL_S})`,
    );
    await deleteVolume(world, id);
  },
};

/** Seconds from the call (declared dead) or from the power cut (silent) to the mount on `next`; leaves the volume unmounted and healthy. */
async function oneRound(world: World, id: string, home: string, next: string, declare: boolean): Promise<number> {
  const file = `${await world.node(home).mount(id)}/records`;
  await untilHealthy(world, id, 180);
  const writer = await Writer.start(world.lab, world.lab.guest(home), file);
  await writer.progress(50, 60);
  await world.powerOff(home);
  const cut = performance.now();
  const count = writer.acks().length;
  if (declare) await world.kubectl("taint", "node", home, TAINT);
  const called = performance.now();
  if (declare) await world.node(next).stage(id, 120);
  else
    await eventually(`${next} takes the silent owner's volume`, 240, async () => {
      await world.node(next).stage(id, 60);
      return true;
    });
  const seconds = (performance.now() - (declare ? called : cut)) / 1000;
  await world.node(next).publish(id);
  await checkRecords(world.lab, world.lab.guest(next), `${world.node(next).targetPath(id)}/records`, count);
  await world.powerOn(home);
  if (declare) await world.kubectl("taint", "node", home, `${TAINT}-`);
  await untilHealthy(world, id, 240);
  await world.node(next).unmount(id);
  return seconds;
}
