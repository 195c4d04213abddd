/**
 * The API server is away: for two minutes under load nothing stalls while connections live; a
 * provider that is lost meanwhile cannot be recorded out, so writes are held until the API is back (I1).
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { arrays, recorded } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { scaledSeconds, sleep } from "../../lab/world/wait.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World } from "../../lab/world/world.ts";
import { Moments, Mortal } from "./support/mortal.ts";

const OUTAGE_MS = 120_000;
/** Longest write that still counts as no stall; emulation and a busy machine make single writes slow. */
const PAUSE_MS = scaledSeconds(1) * 1000;

let world: World;
let id: string;
let home: string;
let provider: string;
let file: string;

before(async () => {
  world = await World.up();
  id = await createVolume(world, "pvc-outage");
  const nodes = (await world.volume(id))!.status!.partitions!.map((p) => p.nodeID);
  [home, provider] = [nodes[0]!, nodes[1]!];
  file = `${await world.node(home).mount(id)}/records`;
  await untilHealthy(world, id);
});
after(() => world?.down());

test("two minutes without API under load: no error, no stall, membership stands; then everything works", async (t) => {
  const guest = world.lab.guest(home);
  const writer = await Writer.start(world.lab, guest, file);
  await sleep(10_000);
  const usual = writer.longestPause();
  const generation = (await world.volume(id))!.status!.mirrors![0]!.generation;
  const from = writer.acks().length;

  await world.plane.kill(["apiserver"]);
  await sleep(OUTAGE_MS);
  await writer.progress(5, 5);
  assert.equal(world.plane.pids().apiserver, undefined, "the outage lasted");
  assert.deepEqual(
    (await arrays(guest)).map((a) => a.members.map((m) => m.flags).sort()),
    [["in_sync", "in_sync,write_mostly"]],
  );
  const during = writer.acks().length - from;
  const pause = writer.longestPause(from);
  t.diagnostic(`longest write: ${usual} ms before, ${pause} ms in ${OUTAGE_MS / 1000} s without API (${during} writes)`);
  assert.ok(pause < Math.max(PAUSE_MS, 3 * usual), `longest write ${pause} ms`);
  assert.ok(during > 500, `${during} writes`);

  await world.plane.start();
  await untilHealthy(world, id, 60);
  const after = (await world.volume(id))!;
  assert.equal(after.status!.mirrors![0]!.generation, generation, "nobody was recorded out");
  assert.deepEqual(writer.errors(), []);
  await writer.stop();
  await checkRecords(world.lab, guest, file, writer.acks().length);

  // Controller and agents go on by themselves.
  const second = await createVolume(world, "pvc-after");
  await world.node(home).mount(second);
  await world.node(home).unmount(second);
  await deleteVolume(world, second);
});

test("the owner's program is killed while the API is away: writes go on, and it works again as soon as the API does", async () => {
  const guest = world.lab.guest(home);
  const written = await checkRecords(world.lab, guest, file, 1);
  const { owner, epoch } = (await world.volume(id))!.status!;
  const writer = await Writer.start(world.lab, guest, file);
  const program = new Mortal(world.node(home), new Moments([]));
  await world.plane.kill(["apiserver"]);
  await program.begin();
  await writer.progress(300, 120);
  await world.plane.start();
  await program.insist("publish again", () => world.node(home).publish(id));
  await untilHealthy(world, id, 60);
  const now = (await world.volume(id))!.status!;
  assert.deepEqual({ owner: now.owner, epoch: now.epoch }, { owner, epoch }, "the running array was adopted");
  assert.deepEqual(writer.errors(), []);
  await writer.stop();
  await checkRecords(world.lab, guest, file, written + writer.acks().length);
  await program.end();
  await world.node(home).start();
});

test("a provider lost while the API is away: writes are held until the loss is recorded, nothing is lost", async (t) => {
  const guest = world.lab.guest(home);
  const before = await checkRecords(world.lab, guest, file, 1);
  const writer = await Writer.start(world.lab, guest, file);
  await world.plane.kill(["apiserver"]);
  await world.powerOff(provider);
  const from = writer.acks().length;
  await sleep(10_000);
  const held = writer.acks().length;
  await sleep(30_000);
  assert.equal(writer.acks().length, held, "no write is acknowledged while the loss is not recorded");
  assert.equal((await arrays(guest))[0]!.members.filter((m) => m.flags.includes("in_sync")).length, 2, "MD still counts on both");

  const back = Date.now();
  await world.plane.start();
  const up = Date.now();
  await writer.progress(50, 60);
  t.diagnostic(`writes went on ${Date.now() - up} ms after the API served (start took ${up - back} ms); held from write ${held - from} after the power cut`);
  const degraded = await world.untilVolume(id, "is degraded", 30, (v) => v.status?.mdState === "degraded" || `${v.status?.mdState}`);
  assert.deepEqual(
    recorded(degraded).map((p) => p.nodeID),
    [home],
  );
  await world.powerOn(provider);
  await untilHealthy(world, id, 90);
  assert.deepEqual(writer.errors(), [], "the application met no error");
  await writer.stop();
  await checkRecords(world.lab, guest, file, before + writer.acks().length);
});

test("in the end it is unstaged and deleted as ever", async () => {
  await world.node(home).unmount(id);
  await deleteVolume(world, id);
});
