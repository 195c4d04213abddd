/** 4 KiB random reads and writes: the volume against a raw partition and a hand-made mirror, in interleaved rounds. */
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { sleep } from "../../lab/world/wait.ts";
import { type Contestant, makeContestants, removeContestants, volumeContestant } from "../contestants.ts";
import { type DiskCounts, diskCounts, difference } from "../diskstats.ts";
import { type Figures, median } from "../figure.ts";
import { type Access, fill, type FioRun, QUEUE_DEPTH, randomAccess } from "../fio.ts";
import { guestCpuSeconds } from "../host-cpu.ts";
import { HOME, MiB, type Bench, type Part } from "../part.ts";

const VOLUME_BYTES = 512 * MiB;
const FILE_BYTES = 256 * MiB;
const ROUNDS = 9;
const SECONDS = 1;
/** MD clears the bits of its bitmap some seconds after the last write; then the counters stand still. */
const SETTLE_MS = 12_000;
const SHARE_GOAL = 0.95;
const REMOTE_GOAL_PERCENT = 1;

const ACCESSES: readonly Access[] = ["randread", "randwrite"];

/** With CPU seconds of the guests' kernels on the host, which a busy machine scatters less than the wall clock. */
type Run = FioRun & { readonly cpuSeconds: number };

/** Everything measured of one contestant. */
interface Result {
  readonly contestant: Contestant;
  readonly runs: Record<Access, Run[]>;
  readonly local: DiskCounts;
  readonly remote: DiskCounts | null;
}

export const io: Part = {
  name: "io",
  describe: `4 KiB random reads and writes at queue depth ${QUEUE_DEPTH}: volume, hand-made mirror, raw partition; ${ROUNDS} rounds in turn`,
  async run(bench) {
    const { world } = bench;
    const volumes = [await makeVolume(bench, "volume", 2), await makeVolume(bench, "one copy", 1)];
    const provider = volumes[0]!.contestant.legs.find((leg) => leg.remote)!.guest.name;
    const contestants = [...volumes.map((v) => v.contestant), ...(await makeContestants(world, provider, VOLUME_BYTES))];
    report(bench.figures, await compete(bench, contestants));
    await removeContestants(world, provider);
    for (const { id } of volumes) {
      await world.node(HOME).unmount(id);
      await deleteVolume(world, id);
    }
  },
};

async function makeVolume({ world }: Bench, name: "volume" | "one copy", copies: number): Promise<{ id: string; contestant: Contestant }> {
  const id = await createVolume(world, `pvc-io-${copies}`, { size: VOLUME_BYTES, preferred: [HOME], parameters: { numberOfCopies: String(copies) } });
  const directory = await world.node(HOME).mount(id);
  await untilHealthy(world, id);
  return { id, contestant: await volumeContestant(world, name, id, directory) };
}

async function oneRun(world: Bench["world"], contestant: Contestant, access: Access): Promise<Run> {
  const guests = new Set(contestant.legs.map((leg) => leg.guest));
  const cpu = (): number => [...guests].reduce((sum, guest) => sum + guestCpuSeconds(world, guest.name), 0);
  const before = cpu();
  const run = await randomAccess(world.lab.guest(HOME), fileOf(contestant), FILE_BYTES, access, SECONDS);
  return { ...run, cpuSeconds: cpu() - before };
}

async function compete({ world, say }: Bench, contestants: readonly Contestant[]): Promise<Result[]> {
  const guest = world.lab.guest(HOME);
  for (const contestant of contestants) await fill(guest, fileOf(contestant), FILE_BYTES);
  await sleep(SETTLE_MS);
  const before = await Promise.all(contestants.map(countLegs));
  const runs = contestants.map((): Record<Access, Run[]> => ({ randread: [], randwrite: [] }));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const access of ACCESSES) {
      for (let at = 0; at < contestants.length; at += 1) {
        // Another one begins in every round, so that none always follows the same one.
        const turn = (at + round) % contestants.length;
        runs[turn]![access].push(await oneRun(world, contestants[turn]!, access));
      }
    }
    say(`round ${round + 1}: ${contestants.map((c, at) => `${c.name} ${ACCESSES.map((a) => Math.round(runs[at]![a].at(-1)!.iops)).join("/")}`).join(", ")} IOPS (read/write)`);
  }
  await sleep(SETTLE_MS);
  const after = await Promise.all(contestants.map(countLegs));
  return contestants.map((contestant, at) => {
    const counts = contestant.legs.map((leg, n) => ({ leg, counts: difference(before[at]![n]!, after[at]![n]!) }));
    return { contestant, runs: runs[at]!, local: counts.find((c) => !c.leg.remote)!.counts, remote: counts.find((c) => c.leg.remote)?.counts ?? null };
  });
}

function fileOf(contestant: Contestant): string {
  return `${contestant.directory}/bench.data`;
}

function countLegs(contestant: Contestant): Promise<DiskCounts[]> {
  return Promise.all(contestant.legs.map(async (leg) => (await diskCounts(leg.guest, [leg.device]))[0]!));
}

function report(figures: Figures, results: readonly Result[]): void {
  const of = (name: Contestant["name"]): Result => results.find((r) => r.contestant.name === name)!;
  const [volume, one, mirror, raw] = [of("volume"), of("one copy"), of("mirror"), of("raw")];
  for (const access of ACCESSES) {
    const part = access === "randread" ? "4 KiB random reads" : "4 KiB random writes";
    for (const { contestant, runs } of results) {
      figures.show(part, { name: `${contestant.name}: IOPS`, values: [median(runs[access].map((run) => run.iops))], unit: "" });
      figures.show(part, {
        name: `${contestant.name}: CPU of the guests per request`,
        values: [median(runs[access].map((run) => (run.cpuSeconds * 1e6) / run.operations))],
        unit: "µs",
      });
      figures.show(part, { name: `${contestant.name}: mean time of a request`, values: [median(runs[access].map((run) => run.meanMs))], unit: "ms" });
    }
    // Rounds are in turn and equally long, so the sums have seen the same machine; single rounds scatter by half.
    const done = (r: Result): number => r.runs[access].reduce((sum, run) => sum + run.iops, 0);
    const share = (first: Result, second: Result): number[] => [done(first) / done(second)];
    figures.atLeast(part, { name: "volume against the hand-made mirror", values: share(volume, mirror), unit: "×" }, SHARE_GOAL);
    figures.atLeast(part, { name: "volume of one copy against the raw partition", values: share(one, raw), unit: "×" }, SHARE_GOAL);
    if (access === "randread") figures.atLeast(part, { name: "volume against the raw partition", values: share(volume, raw), unit: "×" }, SHARE_GOAL);
    // Two copies against one: what the mirror made by hand reaches is what there is to reach.
    else
      for (const r of [volume, mirror]) figures.show(part, { name: `${r.contestant.name} against the raw partition (two copies against one)`, values: share(r, raw), unit: "×" });
  }
  requestsOf(figures, volume, mirror, [one, raw]);
}

function requestsOf(figures: Figures, volume: Result, mirror: Result, others: readonly Result[]): void {
  const part = "requests at the drives";
  const operations = (r: Result, access: Access): number => r.runs[access].reduce((sum, run) => sum + run.operations, 0);
  const perWrite = (r: Result): number => (r.local.writes + (r.remote?.writes ?? 0)) / operations(r, "randwrite");
  const perRead = (r: Result): number => (r.local.reads + (r.remote?.reads ?? 0)) / operations(r, "randread");
  for (const r of [mirror, ...others]) figures.show(part, { name: `${r.contestant.name}: per write`, values: [perWrite(r)], unit: "" });
  // The counts of both wobble by a few bitmap and log writes among thousands.
  figures.atMost(part, { name: "volume: per write", values: [perWrite(volume)], unit: "" }, perWrite(mirror) * 1.01, "≤ the hand-made mirror's");
  for (const r of [mirror, ...others]) figures.show(part, { name: `${r.contestant.name}: per read`, values: [perRead(r)], unit: "" });
  figures.atMost(part, { name: "volume: per read", values: [perRead(volume)], unit: "" }, perRead(mirror) * 1.01, "≤ the hand-made mirror's");
  const remote = (r: Result): number => (100 * (r.remote?.reads ?? 0)) / (r.local.reads + (r.remote?.reads ?? 0));
  figures.atMost(part, { name: "volume: reads that went to the other node", values: [remote(volume)], unit: "%" }, REMOTE_GOAL_PERCENT, `< ${REMOTE_GOAL_PERCENT} %`);
  figures.show(part, { name: "mirror: reads that went to the other node", values: [remote(mirror)], unit: "%" });
}
