/**
 * A volume is deleted while a node that holds a copy is off: the others are clean at once, the object stays and says
 * whom it waits for, and the node cleans up when it is back. Nothing of the data can be read from any drive (I7).
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { PartitionRecord } from "../../src/api/volume.ts";
import { CsiError } from "../../lab/world/csi-client.ts";
import { isZero, traces } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume } from "../../lab/world/volumes.ts";
import { eventually } from "../../lab/world/wait.ts";
import { World } from "../../lab/world/world.ts";

const MiB = 1024 ** 2;
const GiB = 1024 * MiB;
const MARK = "MESHSTOR-SCENARIO-SECRET";
let world: World;

before(async () => {
  const drives = [{ size: 2 * GiB }];
  world = await World.up({ nodes: ["n1", "n2", "n3"].map((name) => ({ name, drives })) });
});
after(() => world?.down());

const guest = (name: string) => world.lab.guest(name);
/** Where a partition lies on its drive, in MiB. */
async function extent(p: PartitionRecord): Promise<{ device: string; from: number; count: number }> {
  const at = `/sys/class/block/$(basename $(readlink -f /dev/disk/by-partuuid/${p.partitionUUID}))`;
  const [drive, start, size] = (await guest(p.nodeID).sh(`basename $(dirname $(readlink -f ${at})); cat ${at}/start ${at}/size`)).split("\n");
  return { device: `/dev/${drive}`, from: (Number(start) * 512) / MiB, count: (Number(size) * 512) / MiB };
}

test("deleted while one of its nodes is off", async () => {
  const id = await createVolume(world, "pvc-left", { parameters: { numberOfCopies: "3" } });
  const placed = (await world.volume(id))!.status!.partitions!;
  const [home, absent, other] = placed.map((p) => p.nodeID) as [string, string, string];
  const path = await world.node(home).mount(id);
  await guest(home).sh(`yes ${MARK} | head -c ${64 * MiB} >${path}/secret; sync -f ${path}/secret`);
  await world.node(home).unmount(id);
  const extents = new Map(await Promise.all(placed.map(async (p) => [p.nodeID, await extent(p)] as const)));
  const holdsMark = async (name: string) => {
    const { device, from, count } = extents.get(name)!;
    return (await guest(name).sh(`dd if=${device} bs=1M skip=${from} count=${count} iflag=direct status=none | grep -c -a -m1 ${MARK} || true`)) !== "0";
  };
  for (const name of world.names) assert.ok(await holdsMark(name), `the data is on the drive of ${name}`);

  await world.powerOff(absent);
  await deleteVolume(world, id, { wait: false });
  for (const name of [home, other]) {
    await eventually(`${name} is clean`, 60, async () => {
      const left = await traces(guest(name));
      return left.length === 0 || left.join(", ");
    });
    const { device, from, count } = extents.get(name)!;
    assert.ok(await isZero(guest(name), device, from, count), `the space on ${name} reads as zeroes`);
  }
  const waiting = await world.untilVolume(id, `waits for ${absent} only`, 30, (v) => v.status!.partitions!.length === 1 || `${v.status!.partitions!.length} partitions`);
  assert.deepEqual([waiting.status!.partitions![0]!.nodeID, waiting.status!.phase], [absent, "Deleting"]);
  await world.untilVolume(
    id,
    "says whom it waits for",
    15,
    (v) => v.status!.message === `being deleted: waiting for node ${absent} to wipe and free its partitions` || `${v.status!.message}`,
  );
  await assert.rejects(world.node(home).stage(id, 20), (error: unknown) => error instanceof CsiError && error.code === "NOT_FOUND", "a deleted volume cannot be staged");
  // Repeated as the provisioner does: still fine, still not gone.
  await deleteVolume(world, id, { wait: false });

  await world.powerOn(absent);
  await eventually(`volume ${id} is gone`, 90, async () => (await world.volume(id)) === null || "still there");
  for (const name of world.names) assert.deepEqual(await traces(guest(name)), [], `nothing is left on ${name}`);
  const { device, from, count } = extents.get(absent)!;
  assert.ok(await isZero(guest(absent), device, from, count), `the space on ${absent} reads as zeroes`);
  await eventually("the space is free again on every drive", 30, async () => {
    const free = (await world.devices()).map((d) => d.status!.freeBytes);
    return (new Set(free).size === 1 && free[0]! > 1.9 * GiB) || free.join(", ");
  });
});

test("deleted while the node that had it last is off without having unstaged: it stays until that node gave it up", async () => {
  const id = await createVolume(world, "pvc-owned", { preferred: ["n1", "n2"] });
  const home = (await world.volume(id))!.status!.partitions![0]!.nodeID;
  await world.node(home).mount(id);
  await world.powerOff(home);
  await assert.rejects(deleteVolume(world, id, { wait: false }), (error: unknown) => {
    assert.ok(error instanceof CsiError);
    assert.equal(error.code, "FAILED_PRECONDITION");
    assert.match(error.message, new RegExp(`\\bnode ${home}\\b`));
    return true;
  });
  assert.equal((await world.volume(id))!.metadata.deletionTimestamp, undefined, "nothing was begun");
  await world.powerOn(home);
  await world.untilVolume(id, "is given up by its node of an earlier boot", 60, (v) => v.status!.owner === undefined || "still owned");
  await deleteVolume(world, id);
  for (const name of world.names) assert.deepEqual(await traces(guest(name)), [], `nothing is left on ${name}`);
});
