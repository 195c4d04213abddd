/** One node with many volumes' copies dies: how fast the losses are recorded and released at the node that runs them. */
import { createVolume } from "../../lab/world/volumes.ts";
import { eventually } from "../../lab/world/wait.ts";
import type { World } from "../../lab/world/world.ts";
import { logLines } from "../node-log.ts";
import { controllerMB, FIND_NODE_PROGRAM, residentMB, RSS_GOAL_MB } from "../resident.ts";
import { HOME, type Part } from "../part.ts";
import { sideBySide } from "../side-by-side.ts";

const VOLUMES = 100;
const PROVIDER = "n2";
/** Created and staged side by side; more would only queue. */
const SIDE_BY_SIDE = 4;
const PART = `${VOLUMES} volumes lose a node`;

export const many: Part = {
  name: "many",
  describe: `${VOLUMES} volumes run on ${HOME} with their other copies on ${PROVIDER}, whose power is cut`,
  async run({ world, figures, say }) {
    const ids: string[] = [];
    const names = Array.from({ length: VOLUMES }, (_, index) => `pvc-many-${index}`);
    await sideBySide(names, SIDE_BY_SIDE, async (name) => {
      const id = await createVolume(world, name, { preferred: [HOME, PROVIDER], seconds: 600 });
      await world.node(HOME).stage(id, 300);
      ids.push(id);
      if (ids.length % 20 === 0) say(`${ids.length} volumes run`);
    });
    figures.atMost(
      PART,
      { name: "node program: resident memory", values: [residentMB(await world.lab.guest(HOME).sh(`cat /proc/$(${FIND_NODE_PROGRAM})/status`))], unit: "MB" },
      RSS_GOAL_MB,
    );
    figures.atMost(PART, { name: "controller: resident memory", values: [controllerMB(world)], unit: "MB" }, RSS_GOAL_MB);
    const affected = await onProvider(world);
    const since = Date.now();
    await world.powerOff(PROVIDER);
    await eventually("every loss is recorded", 300, async () => {
      const left = (await onProvider(world)).length;
      return left === 0 || `${left} of ${affected.length} are not recorded`;
    });
    const lines = logLines(world.node(HOME), "", since);
    const first = lines.find((line) => line.msg === "connections lost")?.atMs;
    if (first === undefined || affected.length === 0) throw new Error("the fault did not engage");
    const all = affected.flatMap((id) => logLines(world.node(HOME), id, since).filter((line) => line.volume === id));
    const ended = (kind: string): number[] => all.filter((line) => line.kind === kind && line.atMs >= first).map((line) => line.atMs);
    const rate = (times: readonly number[]): number => times.length / ((Math.max(...times) - first) / 1000);
    figures.show(PART, { name: "volumes affected", values: [affected.length], unit: "" });
    figures.show(PART, { name: "recorded", values: [rate(ended("RecordOut"))], unit: "/s" });
    figures.show(PART, { name: "recorded and released (disconnected)", values: [rate(ended("Disconnect"))], unit: "/s" });
    figures.show(PART, { name: "first loss seen → last one released", values: [(Math.max(...ended("Disconnect")) - first) / 1000], unit: "s" });
  },
};

/** Volumes that run at home and whose R names a member on the provider. */
async function onProvider(world: World): Promise<string[]> {
  const { items } = JSON.parse(await world.kubectl("get", "msvol", "-o", "json")) as {
    items: { metadata: { name: string }; status?: { owner?: { nodeName: string }; partitions?: { nodeID: string; partitionUUID: string }[]; mirrors?: { inSync: string[] }[] } }[];
  };
  return items
    .filter(({ status }) => {
      const there = new Set((status?.partitions ?? []).filter((p) => p.nodeID === PROVIDER).map((p) => p.partitionUUID));
      return status?.owner?.nodeName === HOME && (status.mirrors ?? []).some((m) => m.inSync.some((uuid) => there.has(uuid)));
    })
    .map((v) => v.metadata.name);
}
