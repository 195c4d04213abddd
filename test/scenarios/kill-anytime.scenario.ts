/**
 * SIGKILL at moments that nobody chose: the owner's and the provider's program under load with no
 * pause of the application beyond its usual ones, and the controller in the middle of CreateVolume
 * and DeleteVolume, which then succeed when repeated and leave nothing over.
 * @minutes 15
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { arrays, traces } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { eventually, scaledSeconds, sleep } from "../../lab/world/wait.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World } from "../../lab/world/world.ts";

const KILLS = 4;
/** Longest write that still counts as no stall; a busy machine makes single writes slow. */
const PAUSE_MS = scaledSeconds(1) * 1000;
/** After the call began; a busy machine spreads them over all of its steps. */
const MOMENTS_MS = [10, 60, 150, 400, 1_000];

let world: World;

before(async () => {
  world = await World.up();
});
after(() => world?.down());

test("the node programs of owner and provider are killed and started under load: no error, no pause, same epoch", async (t) => {
  const id = await createVolume(world, "pvc-load");
  const nodes = (await world.volume(id))!.status!.partitions!.map((p) => p.nodeID);
  const home = nodes[0]!;
  const guest = world.lab.guest(home);
  const file = `${await world.node(home).mount(id)}/records`;
  await untilHealthy(world, id);
  const before = (await world.volume(id))!.status!;
  const writer = await Writer.start(world.lab, guest, file);
  await sleep(10_000);
  const usual = writer.longestPause();
  const from = writer.acks().length;
  for (let i = 0; i < KILLS; i += 1)
    for (const name of nodes) {
      await sleep(i * 300);
      await world.node(name).kill();
      await sleep(500);
      await world.node(name).start();
    }
  await writer.progress(20, 60);
  const pause = writer.longestPause(from);
  t.diagnostic(`longest write: ${usual} ms before, ${pause} ms while ${KILLS * nodes.length} programs were killed and started`);
  assert.ok(pause < Math.max(PAUSE_MS, 3 * usual), `longest write ${pause} ms`);
  await untilHealthy(world, id);
  const now = (await world.volume(id))!.status!;
  assert.deepEqual(
    { epoch: now.epoch, owner: now.owner, generation: now.mirrors![0]!.generation, exports: now.partitions!.map((p) => p.export?.attach) },
    { epoch: before.epoch, owner: before.owner, generation: before.mirrors![0]!.generation, exports: before.partitions!.map((p) => p.export?.attach) },
    "the array was adopted and the export kept: nothing was done anew",
  );
  assert.deepEqual((await arrays(guest))[0]!.members.map((m) => m.flags).sort(), ["in_sync", "in_sync,write_mostly"]);
  assert.deepEqual(writer.errors(), [], "the application met no error");
  await writer.stop();
  await checkRecords(world.lab, guest, file, writer.acks().length);
  await world.node(home).unmount(id);
  await deleteVolume(world, id);
});

test("the controller is killed during CreateVolume and DeleteVolume: repeated they succeed, nothing is left over", async (t) => {
  let interrupted = 0;
  for (const ms of MOMENTS_MS) {
    const name = `pvc-controller-${ms}`;
    const first = createVolume(world, name).then(
      () => "done",
      () => "interrupted",
    );
    await sleep(ms);
    await world.controller.kill();
    interrupted += Number((await first) === "interrupted");
    await world.controller.start();
    const id = await createVolume(world, name);
    const volume = (await world.volume(id))!;
    assert.deepEqual(
      volume.status!.partitions!.map((p) => p.state),
      ["Created", "Created"],
    );

    const gone = deleteVolume(world, id, { wait: false }).catch(() => {});
    await sleep(ms / 5);
    await world.controller.kill();
    await gone;
    await world.controller.start();
    await deleteVolume(world, id);
  }
  t.diagnostic(`${interrupted} of ${MOMENTS_MS.length} CreateVolume calls were interrupted`);
  assert.ok(interrupted > 0, "the kills engaged");
  await eventually("no volume is left", 30, async () => {
    const left = await world.kubectl("get", "msvol", "-o", "name");
    return left.trim() === "" || left;
  });
  for (const name of world.names) assert.deepEqual(await traces(world.lab.guest(name)), [], `nothing is left on ${name}`);
});
