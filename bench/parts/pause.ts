/** How long a writer stands still when a provider loses its power or its network: detection, record, release (I1). */
import { LOSS_POLL_MS } from "../../src/agent/loss-watch.ts";
import { KEEP_ALIVE_S } from "../../src/core/bounds.ts";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { sleep } from "../../lab/world/wait.ts";
import { Writer } from "../../lab/world/writer.ts";
import type { World } from "../../lab/world/world.ts";
import { untilBitmapClean } from "../bitmap.ts";
import { logLines } from "../node-log.ts";
import { HOME, type Bench, type Part } from "../part.ts";

const ROUNDS = 3;
/** What record and release may add to detection. */
const RELEASE_GOAL_S = 1;
/**
 * The kernel's keep-alive restarts with traffic, hence twice; the time-out of its request is rounded up
 * to a full second (Linux block/blk-timeout.c, blk_add_timer); then the program looks.
 */
const DETECTION_GOAL_S = 2 * KEEP_ALIVE_S + 1 + LOSS_POLL_MS / 1000;
const WRITER_INTERVAL_MS = 5;

interface Pause {
  readonly total: number;
  readonly detection: number;
  readonly record: number;
  readonly release: number;
  /** From the end of the fault to all copies in sync again. */
  readonly healed: number;
}

interface Fault {
  readonly name: string;
  begin(world: World, provider: string): Promise<void>;
  end(world: World, provider: string): Promise<void>;
}

const FAULTS: readonly Fault[] = [
  { name: "power-off", begin: (world, provider) => world.powerOff(provider), end: (world, provider) => world.powerOn(provider) },
  { name: "network cut", begin: (world, provider) => world.lab.net.cut(HOME, provider), end: (world) => world.lab.net.heal() },
];

export const pause: Part = {
  name: "pause",
  describe: `I/O pause of a writer when the provider is lost, ${ROUNDS} rounds each`,
  async run(bench) {
    const { world } = bench;
    const id = await createVolume(world, "pvc-pause", { preferred: [HOME] });
    const file = `${await world.node(HOME).mount(id)}/records`;
    await untilHealthy(world, id);
    await untilBitmapClean(world.lab.guest(HOME));
    const provider = providerOf((await world.volume(id))!);
    for (const fault of FAULTS) {
      const pauses: Pause[] = [];
      for (let round = 0; round < ROUNDS; round += 1) pauses.push(await oneRound(bench, { id, file, provider, fault }));
      report(bench, fault, pauses);
    }
    await world.node(HOME).unmount(id);
    await deleteVolume(world, id);
  },
};

/** The node that holds the copy that is not at home. */
export function providerOf(volume: MeshStorVolume): string {
  return volume.status!.partitions!.map((p) => p.nodeID).find((n) => n !== HOME)!;
}

async function oneRound({ world }: Bench, r: { id: string; file: string; provider: string; fault: Fault }): Promise<Pause> {
  const writer = await Writer.start(world.lab, world.lab.guest(HOME), r.file, { intervalMs: WRITER_INTERVAL_MS, clock: true });
  await sleep(2_000);
  const from = writer.acks().length;
  await r.fault.begin(world, r.provider);
  await writer.progress(50, 60);
  await world.untilVolume(r.id, "is degraded", 30, (v) => v.status?.mdState === "degraded" || `${v.status?.mdState}`);
  const parts = split(world, r.id, writer, from);
  await writer.stop();
  if (writer.errors().length > 0) throw new Error(`the writer met ${writer.errors().join("; ")}`);
  const ended = Date.now();
  await r.fault.end(world, r.provider);
  await untilHealthy(world, r.id, 120);
  return { ...parts, healed: (Date.now() - ended) / 1000 };
}

/** The longest wait of the writer, split by what the node program wrote into its log meanwhile; one clock for both. */
function split(world: World, id: string, writer: Writer, from: number): Omit<Pause, "healed"> {
  const acks = writer.acks().slice(Math.max(0, from - 1));
  const held = acks.slice(1).reduce((a, b) => (b.ms > a.ms ? b : a));
  const before = acks[acks.indexOf(held) - 1]!;
  const [begun, ended] = [before.atMs!, held.atMs!];
  const lines = logLines(world.node(HOME), id, begun).filter((line) => line.atMs <= ended + 100);
  const record = lines.find((line) => line.msg === "record written" && line.kind === "RecordOut");
  if (!record) throw new Error(`the fault did not engage: the longest wait is ${held.ms} ms, and no loss was recorded in it`);
  const lost = lines.find((line) => line.msg === "connections lost");
  const detected = Math.min(lost?.atMs ?? Number.POSITIVE_INFINITY, record.atMs - record.ms!);
  const seconds = (a: number, b: number): number => (b - a) / 1000;
  return { total: seconds(begun, ended), detection: seconds(begun, detected), record: seconds(detected, record.atMs), release: seconds(record.atMs, ended) };
}

function report({ figures }: Bench, fault: Fault, pauses: readonly Pause[]): void {
  const part = `pause at ${fault.name}`;
  const of = (pick: (p: Pause) => number): readonly number[] => pauses.map(pick);
  figures.atMost(part, { name: "detection (last acknowledged write → connection known lost)", values: of((p) => p.detection), unit: "s", by: "worst" }, DETECTION_GOAL_S);
  figures.show(part, { name: "record (known lost → written in the API)", values: of((p) => p.record), unit: "s" });
  figures.show(part, { name: "release (written → held write acknowledged)", values: of((p) => p.release), unit: "s" });
  figures.atMost(part, { name: "record and release", values: of((p) => p.record + p.release), unit: "s", by: "worst" }, RELEASE_GOAL_S);
  figures.show(part, { name: "the writer's whole pause", values: of((p) => p.total), unit: "s" });
  figures.show(part, { name: `end of the fault${fault.name === "power-off" ? " (boot included)" : ""} → all copies in sync`, values: of((p) => p.healed), unit: "s" });
}
