/**
 * etcd is restored from a backup that was made before a copy was lost: the record names the stale copy as one in sync, the drives know better (I2, Z20).
 * Nothing is started, stamped or mounted; the sentence says why; and docs/how-to/restored-api.md leads out of it, with every acknowledged write.
 * @minutes 5
 */
import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import type { VolumeStatus } from "../../src/api/volume.ts";
import { arrays, dataChecksum, label, recorded } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { eventually } from "../../lab/world/wait.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World } from "../../lab/world/world.ts";
import { inOrder } from "../in-order.ts";

let world: World;
let id: string;
let home: string;
let other: string;
let count: number;

before(async () => {
  world = await World.up();
});
after(() => world?.down());

const test = inOrder();
const file = (name: string) => `${world.node(name).targetPath(id)}/records`;
const status = async (): Promise<VolumeStatus> => (await world.volume(id))!.status!;
const labels = async () => Promise.all((await status()).partitions!.map((p) => label(world.lab.guest(p.nodeID), p.partitionUUID)));

/** With the API stopped, so that the copy is whole. */
async function whileStopped(work: (data: string, backup: string) => void): Promise<void> {
  await world.plane.kill();
  work(join(world.plane.dir, "etcd"), join(world.plane.dir, "etcd-backup"));
  await world.plane.start();
}

test("a backup is made; then a copy is lost, writes go on, and the volume is unstaged", async () => {
  id = await createVolume(world, "pvc-restored");
  [home, other] = (await status()).partitions!.map((p) => p.nodeID) as [string, string];
  await world.node(home).mount(id);
  await untilHealthy(world, id);
  const writer = await Writer.start(world.lab, world.lab.guest(home), file(home));
  await writer.progress(50, 60);
  await whileStopped((data, backup) => cpSync(data, backup, { recursive: true }));
  await world.powerOff(other);
  await world.untilVolume(id, "goes on with one copy", 60, (v) => recorded(v).length === 1 || "two recorded");
  await writer.progress(200, 60);
  await writer.stop();
  assert.deepEqual(writer.errors(), []);
  count = writer.acks().length;
  await world.node(home).unmount(id);
  assert.equal((await status()).lastStop, "Clean");
  await world.powerOn(other);
});

test("the record goes back in time: no node starts it, and nothing is changed on any drive", async () => {
  await whileStopped((data, backup) => {
    rmSync(data, { recursive: true });
    cpSync(backup, data, { recursive: true });
  });
  assert.equal(recorded((await world.volume(id))!).length, 2, "engaged: the restored record calls the stale copy one in sync");
  const before = await labels();
  for (const name of [other, home]) {
    await eventually(`${name} refuses, and says why`, 120, async () => {
      const error = await world
        .node(name)
        .stage(id, 30)
        .then(
          () => new Error("staged"),
          (thrown: Error) => thrown,
        );
      assert.notEqual(error.message, "staged");
      return /the label of partition .* says epoch \d+, generation \d+, the record epoch/.test(error.message) || error.message;
    });
    assert.deepEqual(await arrays(world.lab.guest(name)), [], `no mirror runs on ${name}`);
  }
  assert.deepEqual(await labels(), before);
});

test("the way out, as the documentation has it: the copy with the newest label is believed, the other is rebuilt", async () => {
  const now = await status();
  const chosen = now.partitions!.find((p) => p.nodeID === home)!.partitionUUID;
  const { lastStop: _stop, ...rest } = await status();
  const partitions = rest.partitions!.map(({ outSince: _out, ...p }) => (p.partitionUUID === chosen ? p : { ...p, state: "Missing" as const }));
  const patch = {
    status: { epoch: rest.epoch! + 10, lastStop: "Unclean", partitions, mirrors: rest.mirrors!.map((m) => ({ ...m, inSync: [chosen], generation: m.generation + 10 })) },
  };
  await world.kubectl("patch", "msvol", id, "--subresource=status", "--type=merge", "-p", JSON.stringify(patch));
  await eventually(`${home} stages the volume`, 120, async () => {
    await world.node(home).stage(id, 60);
    return true;
  });
  await world.node(home).publish(id);
  await checkRecords(world.lab, world.lab.guest(home), file(home), count);
  await untilHealthy(world, id, 180);
  await world.node(home).unmount(id);
  const members = recorded((await world.volume(id))!);
  const sums = await Promise.all(members.map((p) => dataChecksum(world.lab.guest(p.nodeID), p)));
  assert.deepEqual([members.length, new Set(sums).size], [2, 1], "members are identical");
  await deleteVolume(world, id);
});
