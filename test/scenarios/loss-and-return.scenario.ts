/**
 * A provider goes away and comes back: power, network, and an idle volume's reboot. Writes are held, recorded, released;
 * the member returns under a new attach number and only what changed is copied (I1, I5).
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { explain } from "../../src/core/explain.ts";
import { arrays, dataChecksum, recorded } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { sleep } from "../../lab/world/wait.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World } from "../../lab/world/world.ts";

let world: World;
let id: string;
let home: string;
let provider: string;
let file: string;

before(async () => {
  world = await World.up();
  id = await createVolume(world, "pvc-loss");
  const nodes = (await world.volume(id))!.status!.partitions!.map((p) => p.nodeID);
  [home, provider] = [nodes[0]!, nodes[1]!];
  file = `${await world.node(home).mount(id)}/records`;
  await untilHealthy(world, id);
});
after(() => world?.down());

const attachOf = (v: MeshStorVolume) => v.status!.partitions!.find((p) => p.nodeID === provider)!.export!.attach;
const generation = (v: MeshStorVolume) => v.status!.mirrors![0]!.generation;

const verdicts = (v: MeshStorVolume) => (v.status?.conditions ?? []).map((c) => `${c.type} ${c.status} ${c.reason}`);

/** Fault, degraded, healed; returns the longest pause of the writer in ms. */
async function loseAndReturn(fault: () => Promise<void>, heal: () => Promise<void>): Promise<number> {
  const before = (await world.volume(id))!;
  const writer = await Writer.start(world.lab, world.lab.guest(home), file);
  const from = writer.acks().length;
  await fault();
  await writer.progress(300, 60);
  const pause = writer.longestPause(from);
  assert.ok(pause > 500, `the fault engaged: a pause was seen (${pause} ms)`);
  const degraded = await world.untilVolume(id, "is degraded", 30, (v) => v.status?.mdState === "degraded" || `${v.status?.mdState}`);
  assert.deepEqual(
    { ready: degraded.status!.ready, down: degraded.status!.downDevices, active: degraded.status!.activeDevices, R: recorded(degraded).map((p) => p.nodeID) },
    { ready: "1/2", down: 1, active: 1, R: [home] },
  );
  const told = await world.untilVolume(id, "says what it waits for", 30, (v) => {
    const said = [...verdicts(v), `${v.status?.message}`].join(", ");
    return said.startsWith("Ready True InUse, Redundant False CopyMissing, degraded: ") || said;
  });
  const { sentence } = explain(told);
  assert.match(sentence, new RegExp(`^degraded: .*node ${provider}`));
  assert.deepEqual(new Set([told.status!.message, ...told.status!.conditions!.map((c) => c.message)]), new Set([sentence]));
  assert.equal((await arrays(world.lab.guest(home)))[0]!.members.filter((m) => m.flags.includes("in_sync")).length, 1);
  await heal();
  await untilHealthy(world, id, 90);
  const healed = await world.untilVolume(id, "says that it is redundant", 30, (v) => verdicts(v)[1] === "Redundant True InSync" || verdicts(v).join(", "));
  assert.ok(attachOf(healed) > attachOf(before), "it came back under a new attach number");
  assert.ok(generation(healed) >= generation(before) + 2, "out and in each raised the generation");
  assert.deepEqual(writer.errors(), [], "the application met no error");
  await writer.stop();
  await checkRecords(world.lab, world.lab.guest(home), file, writer.acks().length);
  return pause;
}

test("provider loses power under load and returns", async (t) => {
  const pause = await loseAndReturn(
    () => world.powerOff(provider),
    () => world.powerOn(provider),
  );
  t.diagnostic(`longest pause ${pause} ms`);
});

test("the network between owner and provider is cut and healed", async (t) => {
  const pause = await loseAndReturn(
    async () => {
      await world.lab.net.cut(home, provider);
    },
    () => world.lab.net.heal(),
  );
  t.diagnostic(`longest pause ${pause} ms`);
});

test("a provider reboots while its volume is idle: no automatic reconnect, a new attach number", async () => {
  await world.lab.guest(home).sh("sync -f " + file);
  await sleep(6_000);
  const before = (await world.volume(id))!;
  await world.powerOff(provider);
  await world.untilVolume(id, "has recorded the idle loss", 30, (v) => recorded(v).length === 1 || "still two recorded members");
  await world.powerOn(provider);
  await untilHealthy(world, id, 90);
  assert.ok(attachOf((await world.volume(id))!) > attachOf(before));
});

test("loss and return were said as events (the same again within minutes only counts up); at rest nothing is written", async () => {
  const { metadata } = (await world.volume(id))!;
  await sleep(15_000);
  assert.equal((await world.volume(id))!.metadata.resourceVersion, metadata.resourceVersion);
  const events = (await world.kubectl("get", "events", "--field-selector", `involvedObject.name=${id}`, "-o", 'jsonpath={range .items[*]}{.reason} {.message}{"\\n"}{end}'))
    .trim()
    .split("\n");
  const said = (reason: string) => events.some((line) => line.startsWith(`${reason} the copy on node ${provider} `));
  assert.deepEqual({ lost: said("CopyLost"), back: said("CopyInSync") }, { lost: true, back: true }, events.join("\n"));
});

test("in the end the members are equal on their own drives", async () => {
  await world.node(home).unmount(id);
  const volume = (await world.volume(id))!;
  const sums = await Promise.all(recorded(volume).map((p) => dataChecksum(world.lab.guest(p.nodeID), p)));
  assert.equal(sums.length, 2);
  assert.equal(new Set(sums).size, 1);
  await deleteVolume(world, id);
});
