/**
 * A third copy is made under load: its throughput against the raw link, what the application feels of it, and whether the
 * time left is told rightly. The link is throttled, so that it and not the processors of the lab is the limit.
 */
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { sleep } from "../../lab/world/wait.ts";
import type { World } from "../../lab/world/world.ts";
import { rawLink } from "../contestants.ts";
import { fill, paced, sequentialWrites } from "../fio.ts";
import { GiB, HOME, MiB, type Bench, type Part } from "../part.ts";

const VOLUME_BYTES = GiB;
const FILE_BYTES = 128 * MiB;
const PROVIDER = "n2";
/** What netem lets through; one direction of one node. */
const LINK_MBIT = 200;
const SECONDS = 10;
const P99_GOAL = 1.5;
/** The time left is judged from this share of the rebuild on, and while at least this much of it is left: it is told in whole seconds, once in two. */
const JUDGED_FROM = 20;
const JUDGED_S = 5;
const TIME_LEFT_GOAL = 0.25;
const PART = "full rebuild";

export const rebuild: Part = {
  name: "rebuild",
  describe: `a volume of ${VOLUME_BYTES / GiB} GiB gets a third copy over a link of ${LINK_MBIT} Mbit/s under a paced load of 4 KiB writes`,
  async run(bench) {
    const { world, figures } = bench;
    const home = world.lab.guest(HOME);
    await home.sh(`tc qdisc add dev eth0 root netem rate ${LINK_MBIT}mbit`);
    const link = await rawLink(world, PROVIDER);
    const raw = await sequentialWrites(home, link.device, SECONDS);
    await link.close();
    const id = await createVolume(world, "pvc-rebuild", { size: VOLUME_BYTES, preferred: [HOME, PROVIDER] });
    const file = `${await world.node(HOME).mount(id)}/bench.data`;
    await untilHealthy(world, id);
    await fill(home, file, FILE_BYTES);
    const idle = [await paced(home, file, FILE_BYTES, SECONDS), await paced(home, file, FILE_BYTES, SECONDS)];
    await world.kubectl("scale", `msvol/${id}`, "--replicas=3");
    const { told, endMs, beginMs, during } = await watchRebuild(bench, id, () => paced(home, file, FILE_BYTES, SECONDS));
    await untilHealthy(world, id, 120);
    await home.sh("tc qdisc del dev eth0 root");
    const rate = VOLUME_BYTES / ((endMs - beginMs) / 1000);
    figures.show(PART, { name: "raw link, sequential writes of 1 MiB", values: [raw / MiB], unit: "MiB/s" });
    figures.show(PART, { name: "rebuild beside the load", values: [rate / MiB], unit: "MiB/s" });
    figures.show(PART, { name: "  share of the raw link", values: [rate / raw], unit: "×" });
    figures.show(PART, { name: "99 % of paced writes: idle", values: idle, unit: "ms" });
    figures.show(PART, { name: "99 % of paced writes: during the rebuild", values: during, unit: "ms" });
    figures.atMost(PART, { name: "  during against idle", values: during.map((each) => each / Math.max(...idle)), unit: "×" }, P99_GOAL);
    const errors = told.map(({ atMs, left }) => Math.abs(left * 1000 - (endMs - atMs)) / (endMs - atMs));
    figures.atMost(PART, { name: `time left from ${JUDGED_FROM} % on, off by`, values: errors, unit: "×", by: "worst" }, TIME_LEFT_GOAL);
    await world.node(HOME).unmount(id);
    await deleteVolume(world, id);
  },
};

/** Something that was told of the time left, when it was first seen. */
interface Told {
  readonly atMs: number;
  readonly left: number;
}

/** Runs the load again and again while the third copy is rebuilt; what it gave in the runs that lay within the rebuild. */
async function watchRebuild({ world }: Bench, id: string, load: () => Promise<number>): Promise<{ told: Told[]; beginMs: number; endMs: number; during: number[] }> {
  await world.untilVolume(id, "rebuilds its third copy", 180, (v) => v.status?.mdState === "recovering" || `${v.status?.phase} ${v.status?.mdState}`);
  const beginMs = Date.now();
  const ended = new AbortController();
  const loading = loadUntil(ended.signal, load);
  const told: Told[] = [];
  let last = "";
  while (!ended.signal.aborted) {
    const { percent, left, rebuilds } = await progressOf(world, id);
    if (!rebuilds) ended.abort();
    const words = `${percent} ${left}`;
    if (left !== undefined && words !== last && percent >= JUDGED_FROM && left >= JUDGED_S) told.push({ atMs: Date.now(), left });
    last = words;
    await sleep(300);
  }
  const endMs = Date.now();
  const during = await loading;
  if (told.length === 0 || during.length === 0) throw new Error("the rebuild was too short to be measured");
  return { told, beginMs, endMs, during };
}

/** What the load gave, of the runs that ended before the signal. */
async function loadUntil(signal: AbortSignal, load: () => Promise<number>): Promise<number[]> {
  const given: number[] = [];
  while (!signal.aborted) {
    const each = await load();
    if (!signal.aborted) given.push(each);
  }
  return given;
}

async function progressOf(world: World, id: string): Promise<{ percent: number; left: number | undefined; rebuilds: boolean }> {
  const { mdState, syncPercentage = "", syncTimeLeft } = (await world.volume(id))!.status!;
  return { percent: Number.parseFloat(syncPercentage) || 0, left: syncTimeLeft, rebuilds: mdState === "recovering" };
}
