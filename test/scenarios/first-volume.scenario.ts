/**
 * One, two and three copies and 2 × 2 stripes, from nothing to mounted and back to nothing, on drives that were full of
 * 0xA5: what the record says is held against configfs, sysfs, GPT, superblocks and raw blocks of every node.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { arrays, dataChecksum, isZero, label, partitionDevice, recorded, traces } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { World } from "../../lab/world/world.ts";

const GiB = 1024 ** 3;
let world: World;

before(async () => {
  const drives = [
    { size: 2 * GiB, prefill: 0xa5 },
    { size: 2 * GiB, prefill: 0xa5 },
  ];
  world = await World.up({ nodes: ["n1", "n2", "n3"].map((name) => ({ name, drives })) });
});
after(() => world?.down());

test("drives are registered with their facts", async () => {
  const devices = await world.devices();
  const facts = devices.map((d) => `${d.metadata.name} ${d.status?.device.replace(/\d+n/, "Xn")} ${d.status?.sectorSize} ${d.status?.health}`).sort();
  assert.deepEqual(
    facts,
    ["n1", "n2", "n3"].flatMap((n) => [0, 1].map((i) => `${n}.lab-${n}-${i} nvmeXn1 512 Usable`)),
  );
});

for (const copies of [1, 2, 3]) {
  test(`${copies} ${copies === 1 ? "copy" : "copies"}: provisioned, zero, mounted, equal, deleted`, async () => {
    const id = await createVolume(world, `pvc-copies-${copies}`, { parameters: { numberOfCopies: String(copies) } });
    const placed = (await world.volume(id))!;
    assert.equal(new Set(placed.status!.partitions!.map((p) => p.nodeID)).size, copies, "every copy is on a node of its own");
    for (const p of placed.status!.partitions!) {
      const guest = world.lab.guest(p.nodeID);
      assert.ok(await isZero(guest, await partitionDevice(guest, p.partitionUUID)), `partition ${p.partitionUUID} reads as zero everywhere`);
    }
    const home = placed.status!.partitions![0]!.nodeID;
    const guest = world.lab.guest(home);
    const path = await world.node(home).mount(id);
    await untilHealthy(world, id);
    await guest.sh(`dd if=/dev/urandom of=${path}/data bs=1M count=40 conv=fsync status=none`);

    const [array] = await arrays(guest);
    const local = "in_sync";
    const remote = "in_sync,write_mostly";
    assert.deepEqual(
      { raidDisks: array!.raidDisks, degraded: array!.degraded, sync: array!.syncAction, flags: array!.members.map((m) => m.flags).sort() },
      { raidDisks: Math.max(2, copies), degraded: copies === 1 ? 1 : 0, sync: "idle", flags: [local, ...Array.from({ length: copies - 1 }, () => remote)] },
    );
    assert.equal(await guest.sh(`findmnt -no FSTYPE ${path}`), "xfs");
    const running = (await world.volume(id))!;
    for (const p of recorded(running))
      assert.match(await label(world.lab.guest(p.nodeID), p.partitionUUID), new RegExp(running.metadata.uid!), "every member carries the volume's label");
    for (const p of recorded(running).filter((r) => r.nodeID !== home)) {
      const nqn = `nqn.2025-12.io.meshstor:${p.partitionUUID}:e1:a1`;
      const hosts = await world.lab
        .guest(p.nodeID)
        .sh(`ls /sys/kernel/config/nvmet/subsystems/${nqn}/allowed_hosts; cat /sys/kernel/config/nvmet/subsystems/${nqn}/attr_allow_any_host`);
      assert.match(hosts, /^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f-]{36}\n0$/, "exported to exactly one host");
    }

    await world.node(home).unmount(id);
    assert.deepEqual(
      (await traces(guest)).filter((t) => !t.startsWith("partition")),
      [],
      "nothing but the partition is left on the pod's node",
    );
    const stopped = (await world.volume(id))!;
    assert.equal(stopped.status!.lastStop, "Clean");
    const sums = await Promise.all(recorded(stopped).map((p) => dataChecksum(world.lab.guest(p.nodeID), p)));
    assert.equal(sums.length, copies);
    assert.equal(new Set(sums).size, 1, "members are identical");

    await deleteVolume(world, id);
    for (const name of world.names) assert.deepEqual(await traces(world.lab.guest(name)), [], `nothing is left on ${name}`);
  });
}

test("2 × 2: stripes over two mirrors, each copy on the two drives of one node", async () => {
  const id = await createVolume(world, "pvc-wide", { size: GiB, parameters: { replicaCount: "2", stripeWidth: "2" } });
  const volume = (await world.volume(id))!;
  const places = volume.status!.partitions!.map((p) => `${p.nodeID} ${p.drive}`);
  assert.equal(new Set(places).size, 4);
  assert.equal(new Set(volume.status!.partitions!.map((p) => p.nodeID)).size, 2);
  const home = volume.status!.partitions![0]!.nodeID;
  const guest = world.lab.guest(home);
  const path = await world.node(home).mount(id);
  assert.match(await guest.sh("dmsetup table"), new RegExp(`meshstor-${id}: 0 ${GiB / 512} striped 2 128 `));
  await guest.sh(`dd if=/dev/urandom of=${path}/data bs=1M count=64 conv=fsync status=none`);
  const sum = await guest.sh(`sha256sum <${path}/data`);
  await world.node(home).unmount(id);
  const again = await world.node(home).mount(id);
  assert.equal(await guest.sh(`sha256sum <${again}/data`), sum);
  await world.node(home).unmount(id);
  await deleteVolume(world, id);
  for (const name of world.names) assert.deepEqual(await traces(world.lab.guest(name)), [], `nothing is left on ${name}`);
});
