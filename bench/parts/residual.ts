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
    figures.atMost(PART, { name: "first failed request → recorded out (with less API the volume is suspended)", values: windows, unit: "s", by: "worst" }, limit);
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
  await driveFaults.failWrites(guest, index);
  const since = Date.now();
  await world.untilVolume(id, "is degraded", 60, (v) => v.status?.mdState === "degraded" || `${v.status?.mdState}`);
  await writer.progress(50, 60);
  await writer.stop();
  if (writer.errors().length > 0) throw new Error(`the writer met ${writer.errors().join("; ")}`);
  const record = logLines(world.node(HOME), id, since - 2_000).find((line) => line.msg === "record written" && line.kind === "RecordOut");
  if (!record) throw new Error("the fault did not engage: nothing was recorded out");
  const failed = await failureAt(guest);
  await driveFaults.heal(guest, index);
  await untilHealthy(world, id, 120);
  await world.node(HOME).unmount(id);
  await deleteVolume(world, id);
  return Math.max(0, (record.atMs - failed) / 1000);
}

/** When MD said that it gave a member up, in epoch ms, from the kernel's log (its clock is the time since boot). */
async function failureAt(guest: { sh(command: string): Promise<string> }): Promise<number> {
  const out = await guest.sh(`dmesg | grep 'Disk failure on' | tail -1; cut -d' ' -f1 /proc/uptime; date +%s.%N`);
  const [line = "", uptime = "", now = ""] = out.split("\n");
  const at = /\[\s*([\d.]+)\]/.exec(line)?.[1];
  if (at === undefined) throw new Error("MD said nothing of a failed member");
  return (Number(now) - Number(uptime) + Number(at)) * 1000;
}
