/** From CreateVolume to a mounted filesystem, for a small and a big volume: must not grow with size where drives offer Write Zeroes. */
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { sleep } from "../../lab/world/wait.ts";
import { median } from "../figure.ts";
import { logLines } from "../node-log.ts";
import { GiB, HOME, MiB, type Bench, type Part } from "../part.ts";

const SIZES = [
  { name: "512 MiB", bytes: 512 * MiB },
  { name: "20 GiB", bytes: 20 * GiB },
] as const;
const ROUNDS = 3;
/** 40 times the size may take this many times as long; emulation scatters. */
const GROWTH = 1.5;

/** Steps of one round in seconds, by name; `total` is the whole. */
type Steps = ReadonlyMap<string, number>;

export const create: Part = {
  name: "create",
  describe: `create to mounted, two copies, ${SIZES.map((s) => s.name).join(" and ")}, ${ROUNDS} rounds in turn`,
  async run(bench) {
    const rounds = new Map<string, Steps[]>(SIZES.map((size) => [size.name, []]));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const size of SIZES) rounds.get(size.name)!.push(await createAndMount(bench, size.bytes));
    }
    report(bench, rounds);
    await zeroingOfTheDrive(bench);
  },
};

async function createAndMount({ world }: Bench, size: number): Promise<Steps> {
  const node = world.node(HOME);
  const begun = Date.now();
  const id = await createVolume(world, `pvc-${begun}`, { size, preferred: [HOME], seconds: 300 });
  const created = Date.now();
  await node.stage(id);
  const staged = Date.now();
  await node.publish(id);
  const published = Date.now();
  const zeroed = world.names.flatMap((name) =>
    logLines(world.node(name), id, begun)
      .filter((l) => l.kind === "ZeroPartition")
      .map((l) => l.ms ?? 0),
  );
  const steps = new Map([
    ["total", published - begun],
    ["provision (CreateVolume)", created - begun],
    ["  of it Write Zeroes (the slower node)", Math.max(0, ...zeroed)],
    ["stage (NodeStageVolume)", staged - created],
    ["publish (NodePublishVolume)", published - staged],
  ]);
  for (const [kind, ms] of dearest(actionsOf(node, id, created, staged))) steps.set(`  of stage: ${kind}`, ms);
  await untilHealthy(world, id);
  await node.unmount(id);
  await deleteVolume(world, id);
  await sleep(1_000);
  return new Map([...steps].map(([name, ms]) => [name, ms / 1000]));
}

/** Time of each kind of action while the volume was staged. */
function actionsOf(node: Parameters<typeof logLines>[0], id: string, from: number, to: number): Map<string, number> {
  const byKind = new Map<string, number>();
  let sum = 0;
  for (const line of logLines(node, id, from)) {
    if (line.kind === undefined || line.ms === undefined || line.atMs > to) continue;
    byKind.set(line.kind, (byKind.get(line.kind) ?? 0) + line.ms);
    sum += line.ms;
  }
  return byKind.set("looking and deciding between actions", Math.max(0, to - from - sum));
}

function dearest(kinds: Map<string, number>): [string, number][] {
  return [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 5);
}

function report({ figures }: Bench, rounds: ReadonlyMap<string, Steps[]>): void {
  for (const [size, list] of rounds) {
    for (const name of new Set(list.flatMap((steps) => [...steps.keys()]))) {
      const values = list.flatMap((steps) => steps.get(name) ?? []);
      figures.show("create to mounted", { name: `${size}: ${name}`, values, unit: "s" });
    }
  }
  const [small, big] = SIZES.map((size) => rounds.get(size.name)!);
  const of = (list: Steps[] | undefined, name: string): number => median((list ?? []).map((steps) => steps.get(name) ?? Number.NaN));
  const ratio = (name: string): number => of(big, name) / of(small, name);
  figures.atMost("create to mounted", { name: "20 GiB against 512 MiB: total", values: [ratio("total")], unit: "×" }, GROWTH);
  const rest = (list: Steps[] | undefined): number => of(list, "total") - of(list, "  of it Write Zeroes (the slower node)");
  figures.atMost("create to mounted", { name: "20 GiB against 512 MiB: all but Write Zeroes", values: [rest(big) / rest(small)], unit: "×" }, GROWTH);
}

/** How fast the drives zero by command, asked of a drive without our program: what provisioning cannot beat. */
async function zeroingOfTheDrive({ world, figures }: Bench): Promise<void> {
  const guest = world.lab.guest("n3");
  const bytes = 1 * GiB;
  const out = await guest.sh(
    `d=$(basename $(dirname $(dirname $(grep -l LAB-N3-2 /sys/block/nvme*n1/device/serial)))); cat /sys/block/$d/queue/write_zeroes_max_bytes; ` +
      `t=$(date +%s%N); blkdiscard --zeroout --length=${bytes} /dev/$d; echo $(( $(date +%s%N) - t ))`,
    { timeoutMs: 120_000 },
  );
  const [limit = 0, ns = 0] = out.split("\n").map(Number);
  figures.show("create to mounted", { name: "a lab drive's own Write Zeroes", values: [bytes / GiB / (ns / 1e9)], unit: "GiB/s" });
  figures.show("create to mounted", { name: "  most that one command zeroes", values: [limit / MiB], unit: "MiB" });
}
