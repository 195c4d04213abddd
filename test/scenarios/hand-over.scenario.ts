/**
 * A volume changes its node: cleanly there and back, to nodes with and without a copy, and by the power cut of its
 * owner, which no other node takes over before it has been silent for long. Never fewer copies than wanted, no acknowledged record lost (I2, I3, I5).
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { CsiError } from "../../lab/world/csi-client.ts";
import { arrays, dataChecksum, recorded, traces, type ArrayFacts } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { eventually } from "../../lab/world/wait.ts";
import { KubectlWatch, VolumeWatch } from "../../lab/world/watch.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World } from "../../lab/world/world.ts";

const MiB = 1024 ** 2;
const GiB = 1024 * MiB;
let world: World;

before(async () => {
  const drives = [{ size: 4 * GiB }, { size: 4 * GiB }];
  world = await World.up({ nodes: ["n1", "n2", "n3"].map((name) => ({ name, drives })) });
});
after(() => world?.down());

const guest = (name: string) => world.lab.guest(name);
const nodesOf = (v: MeshStorVolume) => [...new Set(v.status!.partitions!.filter((p) => p.state !== "Deleting").map((p) => p.nodeID))].sort();
const inSync = (array: ArrayFacts) => array.members.filter((m) => m.flags.includes("in_sync")).length;
/** What the seeds' jsonpath query says: node and state of each partition. */
const partitions = (id: string) => world.kubectl("get", "msvol", id, "-o", 'jsonpath={range .status.partitions[*]}{.nodeID}{"\\t"}{.state}{"\\n"}{end}');

/** Appends records for a while; returns how many are acknowledged. */
async function write(node: string, file: string, more = 60): Promise<number> {
  const writer = await Writer.start(world.lab, guest(node), file, { intervalMs: 20 });
  await writer.progress(more, 60);
  await writer.stop();
  assert.deepEqual(writer.errors(), []);
  return writer.acks().length;
}

/** Waits until a volume that moved has its wanted copies, one of them here, and nothing is left to be wiped. */
function untilSettled(id: string, node: string, copies: number): Promise<MeshStorVolume> {
  return world.untilVolume(id, `is settled on ${node}`, 120, (v) => {
    const s = v.status!;
    const list = s.partitions!.map((p) => `${p.nodeID} ${p.state}`).join(", ");
    const settled = s.partitions!.every((p) => p.state === "Synced") && nodesOf(v).length === copies && nodesOf(v).includes(node);
    return (settled && s.phase === "Synced" && s.mdState === "active") || `${s.phase} ${s.mdState} ${s.syncPercentage}: ${list}; ${s.message}`;
  });
}

/** How often the kernel lost a connection that it was using. */
const errorRecoveries = async (node: string) => Number(await guest(node).sh("dmesg | grep -c 'starting error recovery' || true"));

/** Held against every state of the record and every sample of the kernel since the volume was mounted. */
function neverFewer(seen: Awaited<ReturnType<VolumeWatch["stop"]>>, copies: number): void {
  assert.ok(seen.samples.length > 0 && seen.states.length > 0, "both were looked at");
  for (const sample of seen.samples) for (const array of sample) assert.ok(inSync(array) >= copies, `MD had ${copies} members in sync all the time: ${JSON.stringify(array)}`);
  for (const { status } of seen.states) {
    assert.deepEqual([status!.degraded, status!.mdState === "degraded"], [0, false], "msvol was never degraded");
    for (const mirror of status!.mirrors!) assert.ok(mirror.inSync.length >= copies, `${copies} members are recorded all the time`);
  }
}

async function gone(id: string): Promise<void> {
  await deleteVolume(world, id);
  for (const name of world.names) assert.deepEqual(await traces(guest(name)), [], `nothing is left on ${name}`);
}

test("clean hand-over to the other copy's node and back: both members start, nothing is copied", async () => {
  const id = await createVolume(world, "pvc-there-and-back", { preferred: ["n1", "n2"] });
  assert.deepEqual(nodesOf((await world.volume(id))!), ["n1", "n2"]);
  let records = 0;
  let epoch = 0;
  for (const node of ["n1", "n2", "n1"]) {
    const file = `${await world.node(node).mount(id)}/records`;
    const volume = (await world.volume(id))!;
    assert.ok(volume.status!.epoch! > epoch, "every assembly takes a new epoch");
    epoch = volume.status!.epoch!;
    assert.deepEqual([volume.status!.owner!.nodeName, volume.status!.owner!.start], [node, records === 0 ? "First" : "Clean"]);
    const [array] = await arrays(guest(node));
    assert.deepEqual([array!.degraded, array!.syncAction, inSync(array!)], [0, "idle", 2], "both members are in sync at once");
    if (records > 0) await checkRecords(world.lab, guest(node), file, records);
    records += await write(node, file);
    await world.node(node).unmount(id);
    assert.deepEqual(
      (await traces(guest(node))).filter((t) => !t.startsWith("partition")),
      [],
      `nothing but its partition is left on ${node}`,
    );
    const stopped = (await world.volume(id))!;
    assert.deepEqual([stopped.status!.lastStop, stopped.status!.owner, stopped.status!.mdState], ["Clean", undefined, "stopped"]);
  }
  const sums = await Promise.all(recorded((await world.volume(id))!).map((p) => dataChecksum(guest(p.nodeID), p)));
  assert.deepEqual([sums.length, new Set(sums).size], [2, 1], "both members are identical on their drives");
  await gone(id);
});

test("a node without a copy gets one, the excess copy goes when all are in sync; and back", async () => {
  const id = await createVolume(world, "pvc-moved", { preferred: ["n1", "n2"] });
  let records = await write("n1", `${await world.node("n1").mount(id)}/records`);
  await world.node("n1").unmount(id);
  for (const node of ["n3", "n1", "n2"]) {
    const before = (await world.volume(id))!;
    const hadOne = nodesOf(before).includes(node);
    const broken = await errorRecoveries(node);
    const file = `${await world.node(node).mount(id)}/records`;
    const watch = await VolumeWatch.start(world, id, guest(node));
    await checkRecords(world.lab, guest(node), file, records);
    records += await write(node, file);
    const after = await untilSettled(id, node, 2);
    const seen = await watch.stop();
    neverFewer(seen, 2);
    assert.equal(await errorRecoveries(node), broken, "no connection was cut under the running volume");
    const copies = Math.max(...seen.states.map((v) => nodesOf(v).length));
    assert.equal(copies, hadOne ? 2 : 3, `${node} ${hadOne ? "had a copy" : "got a third copy before another one went"}`);
    const [array] = await arrays(guest(node));
    assert.deepEqual([array!.raidDisks, array!.degraded], [2, 0], "the slot of the excess member is gone");
    for (const name of world.names.filter((n) => !nodesOf(after).includes(n))) assert.deepEqual(await traces(guest(name)), [], `the copy on ${name} is wiped and freed`);
    await world.node(node).unmount(id);
  }
  const sums = await Promise.all(recorded((await world.volume(id))!).map((p) => dataChecksum(guest(p.nodeID), p)));
  assert.deepEqual([sums.length, new Set(sums).size], [2, 1]);
  await gone(id);
});

test("one copy: [local, missing] before, both while it moves, [local, missing] after", async () => {
  const id = await createVolume(world, "pvc-single", { parameters: { numberOfCopies: "1" }, preferred: ["n1"] });
  const single = async (node: string) => {
    const [array] = await arrays(guest(node));
    assert.deepEqual([array!.raidDisks, array!.members.map((m) => m.flags)], [2, ["in_sync"]], "two slots, one of them vacant");
    assert.match(array!.members[0]!.below, /^nvme\d+n\d+p\d+$/, "the member is a partition of this node");
    assert.equal(await partitions(id), `${node}\tSynced\n`);
    assert.match(await world.kubectl("get", "msvol", id, "--no-headers"), new RegExp(`^${id} +Synced +active +1/1 +0 +${node} `));
  };
  const records = await write("n1", `${await world.node("n1").mount(id)}/records`);
  await single("n1");
  await world.node("n1").unmount(id);
  const file = `${await world.node("n3").mount(id)}/records`;
  const watch = await VolumeWatch.start(world, id, guest("n3"));
  const shown = await KubectlWatch.start(world, ["get", "msvol", id]);
  await untilSettled(id, "n3", 1);
  const seen = await watch.stop();
  shown.stop();
  neverFewer(seen, 1);
  assert.ok(seen.samples.some((s) => inSync(s[0]!) === 2) || seen.states.some((v) => recorded(v).length === 2), "both were in sync before the old one left");
  assert.deepEqual(
    [...new Set(seen.states.map((v) => v.status!.phase))].filter((p) => !["Synced", "Syncing", "Replacing", "Requested"].includes(p!)),
    [],
  );
  // What the seeds show of a move.
  assert.match(shown.text, /^NAME +PHASE +MDSTATE +SYNC +READY +DEGRADED +NODE +AGE\n/);
  assert.match(shown.text, new RegExp(`^${id} +Syncing +recovering +\\d+\\.\\d% `, "m"));
  assert.match(shown.text.trimEnd().split("\n").at(-1)!, new RegExp(`^${id} +Synced +active +1/1 +0 +n3 `));
  await checkRecords(world.lab, guest("n3"), file, records);
  await single("n3");
  assert.deepEqual(await traces(guest("n1")), [], "node n1 holds nothing of it any more");
  await world.node("n3").unmount(id);
  await gone(id);
});

test("before its first use a volume's placement follows the pod: nothing is copied", async () => {
  const id = await createVolume(world, "pvc-follows", { preferred: ["n1", "n2"] });
  const path = await world.node("n3").mount(id);
  const volume = (await world.volume(id))!;
  assert.equal(nodesOf(volume).length, 2);
  assert.ok(nodesOf(volume).includes("n3"), "one copy is on the pod's node");
  const [array] = await arrays(guest("n3"));
  assert.deepEqual([array!.degraded, array!.syncAction, inSync(array!)], [0, "idle", 2], "made of two proven-zero members: no resync");
  await guest("n3").sh(`dd if=/dev/urandom of=${path}/data bs=1M count=20 conv=fsync status=none`);
  await world.node("n3").unmount(id);
  const settled = await world.untilVolume(
    id,
    "has two partitions",
    30,
    (v) => v.status!.partitions!.length === 2 || JSON.stringify(v.status!.partitions!.map((p) => `${p.nodeID} ${p.state}`)),
  );
  const left = world.names.find((n) => !nodesOf(settled).includes(n))!;
  assert.deepEqual(await traces(guest(left)), [], `the provisional copy on ${left} is gone`);
  await gone(id);
});

test("2 × 2 moves: four members stay in sync, the new copy is on the two drives of its node", async () => {
  const id = await createVolume(world, "pvc-wide-moved", { size: 640 * MiB, parameters: { numberOfCopies: "2", drivesPerCopy: "2" }, preferred: ["n1", "n2"] });
  const records = await write("n1", `${await world.node("n1").mount(id)}/records`);
  await world.node("n1").unmount(id);
  const file = `${await world.node("n3").mount(id)}/records`;
  const watch = await VolumeWatch.start(world, id, guest("n3"));
  const after = await untilSettled(id, "n3", 2);
  neverFewer(await watch.stop(), 2);
  await checkRecords(world.lab, guest("n3"), file, records);
  assert.deepEqual(
    (await arrays(guest("n3"))).map((a) => [a.raidDisks, a.degraded]),
    [
      [2, 0],
      [2, 0],
    ],
  );
  const here = after.status!.partitions!.filter((p) => p.nodeID === "n3");
  assert.deepEqual([here.map((p) => p.mirror).sort(), new Set(here.map((p) => p.drive)).size], [[0, 1], 2]);
  for (const mirror of [0, 1])
    assert.deepEqual(
      recorded(after, mirror)
        .map((p) => p.nodeID)
        .sort(),
      nodesOf(after),
    );
  await world.node("n3").unmount(id);
  await gone(id);
});

const refused = (node: string) => (error: unknown) => {
  assert.ok(error instanceof CsiError);
  assert.equal(error.code, "FAILED_PRECONDITION");
  assert.match(error.message, new RegExp(`\\bnode ${node}\\b`), "the sentence names the owner");
  return true;
};

/** A bitmap begins with every bit set; MD clears them some seconds after the array was made. */
function untilFewDirty(node: string): Promise<void> {
  return eventually(`the bitmap on ${node} is mostly clean`, 60, async () => {
    const said = await guest(node).sh("mdadm --examine-bitmap $(ls /dev/mapper/msmember-* | head -1) | grep dirty");
    const [, dirty] = /(\d+) dirty/.exec(said) ?? [];
    return Number(dirty) < 20 || said;
  });
}

test("a second node is refused while the first owns; a dead owner is not taken over; it starts again by itself", async () => {
  const id = await createVolume(world, "pvc-killed", { preferred: ["n1", "n2"] });
  const target = await world.node("n1").mount(id);
  const file = `${target}/records`;
  const writer = await Writer.start(world.lab, guest("n1"), file, { intervalMs: 20 });
  await writer.progress(40, 60);
  await assert.rejects(world.node("n2").stage(id), refused("n1"));
  await assert.rejects(world.node("n3").stage(id), refused("n1"));
  for (const name of ["n2", "n3"])
    assert.deepEqual(
      (await traces(guest(name))).filter((t) => !/^(partition|export|port) /.test(t)),
      [],
      `${name} has begun nothing`,
    );
  await writer.progress(40, 60);
  await untilFewDirty("n1");
  await writer.progress(40, 60);

  await world.powerOff("n1");
  const acknowledged = writer.acks().length;
  await assert.rejects(world.node("n2").stage(id, 30), refused("n1"));
  const held = (await world.volume(id))!;
  assert.deepEqual([held.status!.owner!.nodeName, recorded(held).length], ["n1", 2], "ownership and R stay as they were");

  await world.powerOn("n1");
  const n2 = guest("n2");
  const sectors = async () => Number(await n2.sh(`cat /sys/block/nvme*n1/stat | awk '{ s += $7 } END { print s }'`));
  const written = await sectors();
  await eventually("node n1 mounts it again", 60, async () => {
    await world.node("n1").mount(id);
    return true;
  });
  const started = (await world.volume(id))!;
  assert.equal(started.status!.owner!.start, "Unclean");
  await checkRecords(world.lab, guest("n1"), file, acknowledged);
  await untilHealthy(world, id);
  const copied = ((await sectors()) - written) * 512;
  assert.ok(copied < 128 * MiB, `the other member came back by bitmap: ${Math.round(copied / MiB)} of 512 MiB were written to its drive`);
  const [array] = await arrays(guest("n1"));
  assert.deepEqual([array!.raidDisks, array!.degraded], [2, 0]);
  await write("n1", file);
  await checkRecords(world.lab, guest("n1"), file, acknowledged + 60);
  await world.node("n1").unmount(id);
  const sums = await Promise.all(recorded((await world.volume(id))!).map((p) => dataChecksum(guest(p.nodeID), p)));
  assert.deepEqual([sums.length, new Set(sums).size], [2, 1], "both members are identical again");
  await gone(id);
});
