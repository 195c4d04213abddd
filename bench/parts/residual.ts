/** The window of I1's named residual: MD fails the local member by itself at its first error, and the record follows. */
import { boundsOf } from "../../src/core/bounds.ts";
import { driveFaults } from "../../lab/guest/drives.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { Writer } from "../../lab/world/writer.ts";
import { logLines } from "../node-log.ts";
import { HOME, type Bench, type Part } from "../part.ts";

const ROUNDS = 3;
const PART = "residual of I1";

export const residual: Part = {
  name: "residual",
  describe: `the local drive answers writes with errors under load, ${ROUNDS} times: how long MD acknowledges on the other copy before the record says so`,
  async run(bench) {
    const { figures } = bench;
    const windows: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) windows.push(await oneRound(bench, round));
    const limit = boundsOf().residualMs / 1000;
    figures.atMost(PART, { name: "drive begins to fail → recorded out: the window is shorter", values: windows, unit: "s", by: "worst" }, limit);
  },
};

async function oneRound({ world }: Bench, round: number): Promise<number> {
  const id = await createVolume(world, `pvc-residual-${round}`, { preferred: [HOME] });
  const file = `${await world.node(HOME).mount(id)}/records`;
  await untilHealthy(world, id);
  const guest = world.lab.guest(HOME);
  const serial = (await world.volume(id))!.status!.partitions!.find((p) => p.nodeID === HOME)!.drive.split(":")[0]!;
  const index = Number(serial.split("-").at(-1));
  const writer = await Writer.start(world.lab, guest, file, { intervalMs: 5, clock: true });
  await writer.progress(100, 60);
  const since = Date.now();
  await driveFaults.failWrites(guest, index);
  await world.untilVolume(id, "is degraded", 60, (v) => v.status?.mdState === "degraded" || `${v.status?.mdState}`);
  await writer.progress(50, 60);
  await writer.stop();
  if (writer.errors().length > 0) throw new Error(`the writer met ${writer.errors().join("; ")}`);
  const record = logLines(world.node(HOME), id, since).find((line) => line.msg === "record written" && line.kind === "RecordOut");
  if (!record) throw new Error("the fault did not engage: nothing was recorded out");
  await driveFaults.heal(guest, index);
  await untilHealthy(world, id, 120);
  await world.node(HOME).unmount(id);
  await deleteVolume(world, id);
  return (record.atMs - since) / 1000;
}
