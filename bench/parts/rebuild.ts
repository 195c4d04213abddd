/** A copy is rebuilt in full under load: its throughput against the raw link, and what the application feels of it. */
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { rawLink } from "../contestants.ts";
import { fill, paced, sequential } from "../fio.ts";
import { GiB, HOME, MiB, type Bench, type Part } from "../part.ts";

const VOLUME_BYTES = GiB;
const FILE_BYTES = 128 * MiB;
/** The copy begins on this node, and the pod's node gets one of its own. */
const SOURCE = "n2";
const SECONDS = 10;
const P99_GOAL = 1.5;
const PART = "full rebuild";

export const rebuild: Part = {
  name: "rebuild",
  describe: `a volume of ${VOLUME_BYTES / GiB} GiB moves to the node that runs it: rebuild over the network under a paced load of 4 KiB writes`,
  async run(bench) {
    const { world, figures } = bench;
    const home = world.lab.guest(HOME);
    const link = await rawLink(world, SOURCE);
    const raw = await sequential(home, link.device, SECONDS);
    await link.close();
    const id = await createVolume(world, "pvc-rebuild", { size: VOLUME_BYTES, preferred: [SOURCE], parameters: { numberOfCopies: "1" } });
    const directory = await world.node(HOME).mount(id);
    const begun = performance.now();
    await untilRebuilding(bench, id);
    await fill(home, `${directory}/bench.data`, FILE_BYTES);
    const during = await paced(home, `${directory}/bench.data`, FILE_BYTES, SECONDS);
    const stillRuns = (await world.volume(id))!.status!.mdState === "recovering";
    await untilHealthy(world, id, 600);
    const seconds = (performance.now() - begun) / 1000;
    const idle = await paced(home, `${directory}/bench.data`, FILE_BYTES, SECONDS);
    figures.show(PART, { name: "raw link, sequential reads of 1 MiB", values: [raw / MiB], unit: "MiB/s" });
    figures.show(PART, { name: "rebuild, from the stage to all in sync", values: [VOLUME_BYTES / MiB / seconds], unit: "MiB/s" });
    figures.show(PART, { name: "  share of the raw link", values: [VOLUME_BYTES / seconds / raw], unit: "×" });
    figures.fact(PART, "the rebuild lasted longer than the measurement", stillRuns ? "yes" : "no");
    figures.show(PART, { name: "99 % of paced writes: idle", values: [idle], unit: "ms" });
    figures.show(PART, { name: "99 % of paced writes: during the rebuild", values: [during], unit: "ms" });
    figures.atMost(PART, { name: "  during against idle (two kernels and a network share two cores)", values: [during / idle], unit: "×" }, P99_GOAL);
    await world.node(HOME).unmount(id);
    await deleteVolume(world, id);
  },
};

async function untilRebuilding({ world }: Bench, id: string): Promise<void> {
  await world.untilVolume(id, "rebuilds its new copy", 120, (v) => v.status?.mdState === "recovering" || `${v.status?.phase} ${v.status?.mdState}`);
}
