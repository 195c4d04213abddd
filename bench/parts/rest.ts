/** What the node program costs when nothing happens: memory, CPU and API traffic, with no volume and with many. */
import { API_GROUP } from "../../src/api/names.ts";
import { LEASE_INTERVAL_MS } from "../../src/kube/lease.ts";
import { createVolume } from "../../lab/world/volumes.ts";
import { sleep } from "../../lab/world/wait.ts";
import type { World } from "../../lab/world/world.ts";
import { apiRequests, type ApiRequests } from "../api-requests.ts";
import { guestCpuSeconds, ticksOf } from "../host-cpu.ts";
import { FIND_NODE_PROGRAM, residentMB, RSS_GOAL_MB } from "../resident.ts";
import { HOME, type Bench, type Part } from "../part.ts";
import { sideBySide } from "../side-by-side.ts";

const VOLUMES = 50;
/** Created side by side; more would only queue at the node's drives. */
const SIDE_BY_SIDE = 4;
const WINDOW_MS = 60_000;
const SETTLE_MS = 15_000;
const CPU_GOAL_PERCENT = 1;

interface Sample {
  readonly rssMB: number;
  /** CPU seconds of the program and the tools it has waited for, by the guest's clock. */
  readonly cpuSeconds: number;
  /** CPU seconds of the guest's kernel on the host. */
  readonly guestSeconds: number;
  readonly atMs: number;
}

export const rest: Part = {
  name: "rest",
  describe: `memory, CPU and API traffic of the node program at rest for ${WINDOW_MS / 1000} s, with 0 and ${VOLUMES} volumes`,
  async run(bench) {
    await atRest(bench, 0);
    bench.say(`${VOLUMES} volumes of one copy, all on ${HOME}`);
    await createSingles(bench.world, VOLUMES);
    await atRest(bench, VOLUMES);
  },
};

/** Makes volumes of one copy, all at home; resolves with their ids. */
export async function createSingles(world: World, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `pvc-single-${index}`);
  const ids: string[] = [];
  await sideBySide(names, SIDE_BY_SIDE, async (name) => {
    ids.push(await createVolume(world, name, { parameters: { numberOfCopies: "1" }, preferred: [HOME], seconds: 300 }));
  });
  return ids;
}

/** Measures the node program at home, where nothing happens to its volumes; `running`: they are staged there. */
export async function atRest({ world, figures }: Bench, volumes: number, running = false): Promise<void> {
  const known = JSON.parse(await world.kubectl("get", "msvol", "-o", "json")) as { items: { status?: { partitions?: { nodeID: string }[] } }[] };
  const here = known.items.filter((v) => v.status?.partitions?.some((p) => p.nodeID === HOME)).length;
  if (known.items.length !== volumes || here !== volumes) throw new Error(`${known.items.length} volumes exist, ${here} of them on ${HOME}; ${volumes} are wanted`);
  await sleep(SETTLE_MS);
  const before = await sample(world);
  const requests = await apiRequests(world);
  await sleep(WINDOW_MS);
  const traffic = (await apiRequests(world)).since(requests);
  const after = await sample(world);
  const seconds = (after.atMs - before.atMs) / 1000;
  const percent = (cpu: number): number => (100 * cpu) / seconds;
  const part = `at rest, ${volumes} volumes${running ? " that run" : ""}`;
  figures.atMost(part, { name: "node program: resident memory", values: [Math.max(before.rssMB, after.rssMB)], unit: "MB" }, RSS_GOAL_MB);
  figures.atMost(part, { name: "node program: CPU of one core", values: [percent(after.cpuSeconds - before.cpuSeconds)], unit: "%" }, CPU_GOAL_PERCENT);
  figures.show(part, { name: "  the guest's kernel, on the host", values: [percent(after.guestSeconds - before.guestSeconds)], unit: "%" });
  judgeTraffic({ world, figures, say: () => {} }, part, traffic, seconds);
}

/** At rest there are watches and the nodes' Leases; the API server renews a Lease of its own. */
function judgeTraffic({ world, figures }: Bench, part: string, traffic: ApiRequests, seconds: number): void {
  const renewals = traffic.count((r) => r.resource === "leases" && ["PUT", "POST", "PATCH"].includes(r.verb));
  const expected = (world.names.length + 1) * (Math.ceil((seconds * 1000) / LEASE_INTERVAL_MS) + 1);
  figures.atMost(part, { name: "API: Lease writes", values: [renewals], unit: "" }, expected, `≤ ${expected} (one per node in ${LEASE_INTERVAL_MS / 1000} s)`);
  const ours = traffic.list((r) => (r.group === API_GROUP || ["nodes", "events"].includes(r.resource)) && r.verb !== "WATCH");
  figures.fact(part, "API: other requests on our resources, nodes and events", ours.length === 0 ? "none" : ours.join(", "), { goal: "none", holds: ours.length === 0 });
  const others = traffic.list((r) => r.group !== API_GROUP && !["nodes", "events", ""].includes(r.resource));
  figures.fact(part, "API: everything else (the API server's own)", others.join(", ") || "none");
}

async function sample(world: World): Promise<Sample> {
  const out = await world.lab.guest(HOME).sh(`p=$(${FIND_NODE_PROGRAM}); getconf CLK_TCK; sed 's/.*) //' /proc/$p/stat; cat /proc/$p/status`);
  const [ticks = "", stat = ""] = out.split("\n");
  return {
    rssMB: residentMB(out),
    cpuSeconds: ticksOf(stat) / Number(ticks),
    guestSeconds: guestCpuSeconds(world, HOME),
    atMs: performance.now(),
  };
}
