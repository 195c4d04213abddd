/**
 * Copies move on request while a pod writes: one copy off the pod's node, one of two off a node, everything off a node that
 * is emptied; a drained consumer takes its only copy along; a loss in the middle. Never fewer members in sync than wanted, no record lost.
 * @minutes 20
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { arrays, dataChecksum, recorded, traces, type ArrayFacts } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume } from "../../lab/world/volumes.ts";
import { eventually, scaledSeconds, sleep } from "../../lab/world/wait.ts";
import { VolumeWatch } from "../../lab/world/watch.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World } from "../../lab/world/world.ts";

const MiB = 1024 ** 2;
let world: World;

before(async () => {
  world = await World.up();
});
after(() => world?.down());

const guest = (name: string) => world.lab.guest(name);
const nodesOf = (v: MeshStorVolume) => [...new Set(v.status!.partitions!.filter((p) => p.state !== "Deleting").map((p) => p.nodeID))].sort();
const inSync = (array: ArrayFacts) => array.members.filter((m) => m.flags.includes("in_sync")).length;
const fileOn = (node: string, id: string) => `${world.node(node).targetPath(id)}/records`;

/** Its copies are on exactly these nodes, in sync, and nothing is left to be wiped. */
function untilOn(id: string, nodes: readonly string[]): Promise<MeshStorVolume> {
  return world.untilVolume(id, `has its copies on ${nodes.join(", ")}`, 150, (v) => {
    const s = v.status!;
    const list = s.partitions!.map((p) => `${p.nodeID} ${p.state}`).join(", ");
    const ok = s.phase === "Synced" && s.mdState === "active" && s.partitions!.every((p) => p.state === "Synced") && nodesOf(v).join() === nodes.toSorted().join();
    return ok || `${s.phase} ${s.mdState} ${s.syncPercentage}: ${list}; ${s.message}`;
  });
}

const avoid = (id: string, nodes: readonly string[]) => world.kubectl("patch", "msvol", id, "--type=merge", "-p", JSON.stringify({ spec: { avoidNodes: nodes } }));

/** Moves under load; held against every state of the record and every sample of the kernel, there were never fewer copies. */
async function move(id: string, home: string, copies: number, ask: () => Promise<unknown>, nodes: readonly string[]): Promise<void> {
  const writer = await Writer.start(world.lab, guest(home), fileOn(home, id), { intervalMs: 20 });
  await writer.progress(30, 60);
  const watch = await VolumeWatch.start(world, id, guest(home));
  await ask();
  await untilOn(id, nodes);
  const seen = await watch.stop();
  await writer.progress(30, 60);
  await writer.stop();
  assert.deepEqual(writer.errors(), []);
  assert.ok(seen.samples.length > 0 && seen.states.length > 0, "both were looked at");
  for (const sample of seen.samples) for (const array of sample) assert.ok(inSync(array) >= copies, `MD had ${copies} members in sync all the time: ${JSON.stringify(array)}`);
  for (const { status } of seen.states) {
    assert.deepEqual([status!.degraded, status!.mdState === "degraded"], [0, false], "msvol was never degraded");
    for (const mirror of status!.mirrors!) assert.ok(mirror.inSync.length >= copies, `${copies} members are recorded all the time`);
  }
  await checkRecords(world.lab, guest(home), fileOn(home, id), writer.acks().length);
}

async function equalAndGone(id: string, home: string): Promise<void> {
  await world.node(home).unmount(id);
  const v = (await world.volume(id))!;
  for (const mirror of v.status!.mirrors!) {
    const sums = await Promise.all(recorded(v, mirror.index).map((p) => dataChecksum(guest(p.nodeID), p)));
    assert.equal(new Set(sums).size, 1);
  }
  await deleteVolume(world, id);
}

test("one copy, a drained consumer: [local, missing] before and after, its data go to the pod's new node", async () => {
  const id = await createVolume(world, "pvc-drained", { parameters: { numberOfCopies: "1" }, preferred: ["n1"] });
  await world.node("n1").mount(id);
  const writer = await Writer.start(world.lab, guest("n1"), fileOn("n1", id), { intervalMs: 20 });
  await writer.progress(60, 60);
  await writer.stop();
  const flags = async (node: string) => (await arrays(guest(node))).map((a) => [a.raidDisks, a.members.map((m) => m.flags)]);
  assert.deepEqual(await flags("n1"), [[2, ["in_sync"]]]);
  await world.node("n1").unmount(id);
  await world.node("n2").mount(id);
  await checkRecords(world.lab, guest("n2"), fileOn("n2", id), writer.acks().length);
  await untilOn(id, ["n2"]);
  assert.deepEqual(await flags("n2"), [[2, ["in_sync"]]]);
  assert.deepEqual(await traces(guest("n1")), []);
  await equalAndGone(id, "n2");
});

test("one copy moves off the pod's node: the source goes only when the new one is in sync and recorded", async () => {
  const id = await createVolume(world, "pvc-off", { parameters: { numberOfCopies: "1" }, preferred: ["n1"] });
  await world.node("n1").mount(id);
  await move(id, "n1", 1, () => avoid(id, ["n1", "n3"]), ["n2"]);
  await move(id, "n1", 1, () => avoid(id, []), ["n1"]);
  await equalAndGone(id, "n1");
});

test("one of two copies moves off a node: a slot is added, synced, recorded, then the old one leaves", async () => {
  const id = await createVolume(world, "pvc-two", { preferred: ["n1", "n2"] });
  await world.node("n1").mount(id);
  const speeds = await guest("n1").sh("cat /sys/block/md*/md/sync_speed_min /sys/block/md*/md/sync_speed_max");
  assert.deepEqual([...new Set(speeds.trim().split("\n"))], ["1000 (local)", "100000000 (local)"], "a rebuild yields, and is not capped");
  await move(id, "n1", 2, () => avoid(id, ["n2"]), ["n1", "n3"]);
  assert.deepEqual(
    (await arrays(guest("n1"))).map((a) => [a.raidDisks, a.degraded]),
    [[2, 0]],
  );
  assert.deepEqual(await traces(guest("n2")), [], "node n2 holds nothing of it any more");
  await equalAndGone(id, "n1");
});

test("a node is emptied: every copy leaves it, none comes, also of a striped volume; then it is used again", async () => {
  const wide = await createVolume(world, "pvc-wide", { size: 640 * MiB, parameters: { drivesPerCopy: "2" }, preferred: ["n1", "n2"] });
  const plain = await createVolume(world, "pvc-plain", { preferred: ["n3", "n2"] });
  await world.node("n1").mount(wide);
  await world.node("n3").mount(plain);
  await move(wide, "n1", 2, () => world.kubectl("annotate", "node", "n2", "meshstor.io/empty=true"), ["n1", "n3"]);
  await untilOn(plain, ["n1", "n3"]);
  await eventually("nothing is left on node n2", 60, async () => (await traces(guest("n2"))).join(", ") || true);
  const elsewhere = await createVolume(world, "pvc-elsewhere", { preferred: ["n2", "n1"] });
  assert.deepEqual(nodesOf((await world.volume(elsewhere))!), ["n1", "n3"]);
  await deleteVolume(world, elsewhere);
  await world.kubectl("annotate", "node", "n2", "meshstor.io/empty-");
  await world.untilVolume(plain, "may be on every node", 30, (v) => v.status!.leavingNodes === undefined || v.status!.leavingNodes.join());
  await equalAndGone(wide, "n1");
  await equalAndGone(plain, "n3");
});

/** Holds the owner's mdadm before it makes a slot for a third member, as long as `hold` is there; says so by `held`. */
const HELD_MDADM = `#!/bin/sh
case "$*" in *--grow*--raid-devices=3*) : >/run/lab/held; while [ -e /run/lab/hold ]; do sleep 0.05; done;; esac
exec /usr/sbin/mdadm "$@"
`;

test("a connection is lost in the moment in which MD takes a member in: that is ended, the loss is released, the copy joins later (Z3)", async (t) => {
  const id = await createVolume(world, "pvc-moment", { preferred: ["n1", "n2"] });
  await world.node("n1").mount(id);
  await guest("n1").sh(": >/run/lab/hold");
  await guest("n1").writeFile("/usr/local/sbin/mdadm", HELD_MDADM, 0o755);
  const writer = await Writer.start(world.lab, guest("n1"), fileOn("n1", id), { intervalMs: 20 });
  await avoid(id, ["n2"]);
  await eventually("MD is about to take in the new member", 120, async () => (await guest("n1").exec(["test", "-e", "/run/lab/held"], { okCodes: "any" })).code === 0 || "not yet");
  const from = writer.acks().length;
  await world.lab.net.cut("n1", "n2");
  await eventually("a write is held", 30, async () => {
    const before = writer.acks().length;
    await sleep(300);
    return writer.acks().length === before || "writes go on";
  });
  await guest("n1").sh("rm /run/lab/hold");
  await writer.progress(100, 60);
  t.diagnostic(`longest write ${writer.longestPause(from)} ms`);
  const said = readFileSync(world.node("n1").logPath, "utf8");
  assert.match(said, /'mdadm --grow [^']*--raid-devices=3' was ended after \d+ ms: the connection nvme\d+ below array \S+ was lost/, "the fault engaged");
  assert.ok(writer.longestPause(from) < scaledSeconds(12) * 1000, `a pause as after any loss: ${writer.longestPause(from)} ms`);
  await world.lab.net.heal();
  await untilOn(id, ["n1", "n3"]);
  await writer.progress(30, 60);
  await writer.stop();
  assert.deepEqual(writer.errors(), []);
  await checkRecords(world.lab, guest("n1"), fileOn("n1", id), writer.acks().length);
  await guest("n1").sh("rm /usr/local/sbin/mdadm");
  await equalAndGone(id, "n1");
});
