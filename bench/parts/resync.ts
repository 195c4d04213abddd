/** After an absence only what changed is copied: bytes resynced against bytes written meanwhile and chunks marked in the bitmap. */
import { recorded } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { sleep } from "../../lab/world/wait.ts";
import { Writer } from "../../lab/world/writer.ts";
import type { Guest } from "../../lab/guest/guest.ts";
import { bitmapState, untilBitmapClean } from "../bitmap.ts";
import { diskCounts, difference, partitionName } from "../diskstats.ts";
import { HOME, MiB, type Bench, type Part } from "../part.ts";
import { providerOf } from "./pause.ts";

const ABSENCE_MS = 30_000;
const PART = "resync after 30 s";

export const resync: Part = {
  name: "resync",
  describe: `bytes copied after ${ABSENCE_MS / 1000} s without the provider`,
  async run(bench) {
    const { world } = bench;
    const id = await createVolume(world, "pvc-resync", { preferred: [HOME] });
    const file = `${await world.node(HOME).mount(id)}/records`;
    await untilHealthy(world, id);
    await untilBitmapClean(world.lab.guest(HOME));
    await absence(bench, id, file);
    await world.node(HOME).unmount(id);
    await deleteVolume(world, id);
  },
};

async function absence({ world, figures }: Bench, id: string, file: string): Promise<void> {
  const volume = (await world.volume(id))!;
  const provider = providerOf(volume);
  const [home, away] = [world.lab.guest(HOME), world.lab.guest(provider)];
  const nameOn = async (guest: Guest): Promise<string> => partitionName(guest, recorded(volume).find((p) => p.nodeID === guest.name)!.partitionUUID);
  const [local, remote] = [await nameOn(home), await nameOn(away)];
  const count = async (guest: Guest, device: string) => (await diskCounts(guest, [device]))[0]!;
  const writer = await Writer.start(world.lab, home, file);
  await world.lab.net.cut(HOME, provider);
  const before = await count(home, local);
  await sleep(ABSENCE_MS);
  await writer.stop();
  await home.sh(`sync -f ${file}`);
  const written = difference(before, await count(home, local)).writtenBytes;
  const bitmap = await bitmapState(home);
  const begin = await count(away, remote);
  const healed = Date.now();
  await world.lab.net.heal();
  await untilHealthy(world, id, 120);
  const seconds = (Date.now() - healed) / 1000;
  const copied = difference(begin, await count(away, remote)).writtenBytes;
  if (writer.acks().length === 0 || written === 0) throw new Error("nothing was written during the absence");
  figures.show(PART, { name: "written to the local copy meanwhile", values: [written / MiB], unit: "MiB" });
  figures.show(PART, { name: `dirty chunks of ${bitmap.chunkBytes / MiB} MiB each`, values: [bitmap.dirty], unit: "" });
  // Besides the chunks: label, superblock and bitmap of the returning member.
  figures.atMost(PART, { name: "written to the returning copy", values: [copied / MiB], unit: "MiB" }, (bitmap.dirty * bitmap.chunkBytes) / MiB + 1, "≤ the dirty chunks");
  figures.atMost(PART, { name: "  share of the volume", values: [(100 * copied) / volume.spec.capacityBytes], unit: "%" }, 100, "< 100 %");
  figures.show(PART, { name: "network healed → all copies in sync", values: [seconds], unit: "s" });
}
