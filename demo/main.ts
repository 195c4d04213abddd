/**
 * The story of a replicated volume, told on real kernels: `npm run demo`. It verifies what it shows and
 * exits non-zero on any mismatch; `-- --keep` leaves the lab up for play (`npm run lab -- status`).
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataChecksum, recorded, traces } from "../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../lab/world/volumes.ts";
import { checkRecords, Writer } from "../lab/world/writer.ts";
import { World } from "../lab/world/world.ts";
import { Story } from "./story.ts";

const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
const story = new Story();

async function main(): Promise<void> {
  story.chapter("Set-up (nothing is done twice)");
  execFileSync(process.execPath, [join(import.meta.dirname, "../tools/setup/main.ts"), "lab"], { stdio: "inherit" });

  story.chapter("Three nodes come up, each with two NVMe drives");
  const world = await story.step("cluster", () => World.up({ ...(values.keep ? { id: "demo", detached: true } : {}), say: (line) => story.note(line) }));
  try {
    await tell(world);
  } finally {
    if (values.keep) story.note("the lab is kept: npm run lab -- --lab demo status | shell n1 | kubectl get msvol | down");
    else await world.down();
  }
}

async function tell(world: World): Promise<void> {
  await story.show("kubectl get msnd", () => world.kubectl("get", "msnd"));

  story.chapter("A volume of two copies, and one of 2 × 2");
  const two = await story.step("provision pvc-two (2 copies, 512 MiB)", () => createVolume(world, "pvc-two", { parameters: { numberOfCopies: "2" } }));
  const wide = await story.step("provision pvc-wide (2 copies over 2 drives each, 1 GiB)", () =>
    createVolume(world, "pvc-wide", { size: 1024 ** 3, parameters: { replicaCount: "2", stripeWidth: "2" } }),
  );
  const home = nodeOf(await world.volume(two), 0);
  await story.step(`format and mount both on ${home}`, () => Promise.all([world.node(home).mount(two), world.node(home).mount(wide)]));
  await Promise.all([untilHealthy(world, two), untilHealthy(world, wide)]);
  const guest = world.lab.guest(home);
  const file = `${world.node(home).targetPath(two)}/records`;
  const wideFile = `${world.node(home).targetPath(wide)}/data`;
  const writer = await story.step("an application writes and fsyncs", () => Writer.start(world.lab, guest, file));
  const sum = await story.step("96 MiB on the wide volume", () => guest.sh(`dd if=/dev/urandom of=${wideFile} bs=1M count=96 conv=fsync status=none; sha256sum <${wideFile}`));
  await story.show("kubectl get msvol -o wide", () => world.kubectl("get", "msvol", "-o", "wide"));

  const provider = (await world.volume(two))!.status!.partitions!.map((p) => p.nodeID).find((n) => n !== home)!;
  await losePower(world, { two, home, provider, writer });

  story.chapter("The workload moves to another node");
  await writer.stop();
  const acknowledged = writer.acks().length;
  const next = world.names.find((n) => n !== home && n !== provider)!;
  await story.step(`unmount on ${home}`, () => Promise.all([world.node(home).unmount(two), world.node(home).unmount(wide)]));
  story.check(`nothing is assembled on ${home}`, (await traces(guest)).filter((t) => /^(dm|array|mount|connection)/.test(t)).length === 0);
  await story.step(`mount on ${next}, which has no copy`, () => Promise.all([world.node(next).mount(two), world.node(next).mount(wide)]));
  const there = world.lab.guest(next);
  const found = await checkRecords(world.lab, there, `${world.node(next).targetPath(two)}/records`, acknowledged);
  story.check(`every acknowledged record is there (${acknowledged} acknowledged, ${found} found)`, found >= acknowledged);
  story.check("the wide volume's checksum is the same", (await there.sh(`sha256sum <${world.node(next).targetPath(wide)}/data`)) === sum);
  await story.step(`the pod's node gets a copy, the excess one leaves`, () =>
    world.untilVolume(two, `has a copy on ${next} and two in all`, 180, (v) => {
      const nodes = (v.status?.partitions ?? []).map((p) => p.nodeID);
      return (
        (nodes.includes(next) && nodes.length === 2 && v.status?.degraded === 0 && v.status?.phase === "Synced") ||
        `${v.status?.phase} ${v.status?.mdState} ${v.status?.syncPercentage}: ${nodes.join(", ")}`
      );
    }),
  );
  await story.show("kubectl get msvol", () => world.kubectl("get", "msvol"));

  story.chapter("The volumes are deleted and the drives are clean");
  await Promise.all([untilHealthy(world, two, 180), untilHealthy(world, wide, 240)]);
  await story.step("unmount", () => Promise.all([world.node(next).unmount(two), world.node(next).unmount(wide)]));
  await membersEqual(world, two);
  await story.step("delete both", () => Promise.all([deleteVolume(world, two), deleteVolume(world, wide)]));
  for (const name of world.names) {
    const left = await traces(world.lab.guest(name));
    story.check(`nothing is left on ${name}${left.length > 0 ? `: ${left.join("; ")}` : ""}`, left.length === 0);
  }
  await story.show("kubectl get msvol", () => world.kubectl("get", "msvol"));
}

async function losePower(world: World, s: { two: string; home: string; provider: string; writer: Writer }): Promise<void> {
  story.chapter(`Node ${s.provider} loses its power while the application writes`);
  const before = s.writer.acks().length;
  await world.powerOff(s.provider);
  await story.step("writes go on, degraded", () => s.writer.progress(200, 90));
  const pause = s.writer.longestPause(before);
  await story.step("the volume says so", () =>
    world.untilVolume(s.two, "is degraded", 60, (v) => (v.status?.mdState === "degraded" && v.status.downDevices === 1) || `${v.status?.mdState}`),
  );
  await story.show("kubectl get msvol -o wide", () => world.kubectl("get", "msvol", "-o", "wide"));
  story.figure("longest pause of the application", `${(pause / 1000).toFixed(2)} s (detection by keep-alive is up to 4 s of it)`);

  story.chapter(`Node ${s.provider} returns: only what changed is copied`);
  await world.powerOn(s.provider);
  await story.step("resync from the bitmap", () => untilHealthy(world, s.two, 120));
  story.check("the application met no error", s.writer.errors().length === 0);
  await story.show("kubectl get msvol", () => world.kubectl("get", "msvol"));
}

/** After a clean stop the members are equal, byte for byte, on their own drives. */
async function membersEqual(world: World, name: string): Promise<void> {
  const volume = (await world.volume(name))!;
  const sums = await Promise.all(recorded(volume).map((p) => dataChecksum(world.lab.guest(p.nodeID), p)));
  story.check(`all ${sums.length} members of ${name} are equal on their drives`, sums.length === 2 && new Set(sums).size === 1);
}

function nodeOf(volume: Awaited<ReturnType<World["volume"]>>, index: number): string {
  return volume!.status!.partitions![index]!.nodeID;
}

main()
  .then(() => story.end())
  .catch((error: unknown) => story.fail(error));
