/**
 * The owner is gone and another node takes the volume over: declared dead, deleted, silent behind a cut network; alive it is never robbed.
 * Every acknowledged write is found at the new owner, the former one stops by itself and its copy comes back (I1–I5, I10).
 * @minutes 25
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { applyYaml } from "../../lab/control-plane/objects.ts";
import { arrays, dataChecksum, recorded, traces } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { eventually, sleep } from "../../lab/world/wait.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World } from "../../lab/world/world.ts";

let world: World;

before(async () => {
  world = await World.up();
});
after(() => world?.down());

const guest = (name: string) => world.lab.guest(name);
const records = (id: string, name: string) => `${world.node(name).targetPath(id)}/records`;
const owner = async (id: string) => (await world.volume(id))!.status!.owner?.nodeName;

/** A volume of two copies in use on `home`, written to; the other copy's node is `other`, the third `third`. */
async function inUse(name: string) {
  const id = await createVolume(world, name);
  const [home, other] = (await world.volume(id))!.status!.partitions!.map((p) => p.nodeID) as [string, string];
  const third = world.names.find((n) => n !== home && n !== other)!;
  await world.node(home).mount(id);
  await untilHealthy(world, id);
  const writer = await Writer.start(world.lab, guest(home), records(id, home));
  await writer.progress(100, 60);
  return { id, home, other, third, writer };
}

/** The members are equal on their own drives, then the volume goes without a trace. */
async function end(id: string, on: string): Promise<void> {
  await untilHealthy(world, id, 180);
  await world.node(on).unmount(id);
  const volume = (await world.volume(id))!;
  const sums = await Promise.all(recorded(volume).map((p) => dataChecksum(guest(p.nodeID), p)));
  assert.equal(sums.length, 2);
  assert.equal(new Set(sums).size, 1, "members are identical");
  await deleteVolume(world, id);
  for (const name of world.names) assert.deepEqual(await traces(guest(name)), [], `nothing is left on ${name}`);
}

const outOfService = (name: string, on: boolean) => world.kubectl("taint", "node", name, `node.kubernetes.io/out-of-service=nodeshutdown:NoExecute${on ? "" : "-"}`);

test("a living owner is never robbed: the call names its node", async () => {
  const { id, home, other, writer } = await inUse("pvc-alive");
  await assert.rejects(world.node(other).stage(id, 20), (error: Error) => error.message.includes(home));
  assert.equal(await owner(id), home);
  assert.deepEqual(writer.errors(), []);
  await writer.stop();
  await end(id, home);
});

test("its kubelet is dead and its pod is gone: the living owner hands over when asked", async (t) => {
  const { id, home, other, writer } = await inUse("pvc-left");
  await writer.stop();
  const count = writer.acks().length;
  const heartbeat = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: home, namespace: "kube-node-lease" },
    spec: { renewTime: "2026-01-01T00:00:00.000000Z" },
  };
  await applyYaml(world.plane, [heartbeat]);
  const begun = performance.now();
  await eventually(`${other} stages the volume`, 180, async () => {
    await world.node(other).stage(id, 30);
    return true;
  });
  t.diagnostic(`handed over ${((performance.now() - begun) / 1000).toFixed(1)} s after it was asked for`);
  const volume = (await world.volume(id))!;
  assert.deepEqual([volume.status!.owner!.nodeName, volume.status!.owner!.start], [other, "Clean"]);
  await world.node(other).publish(id);
  await checkRecords(world.lab, guest(other), records(id, other), count);
  assert.deepEqual(
    (await world.lab.guest(home).sh("cat /proc/mounts")).split("\n").filter((line) => line.includes(id)),
    [],
  );
  await end(id, other);
});

test("power off and out-of-service: the other copy's node goes on at once; the former owner's copy comes back", async (t) => {
  const { id, home, other, writer } = await inUse("pvc-dead");
  const acknowledged = () => writer.acks().length;
  await world.powerOff(home);
  const count = acknowledged();
  await outOfService(home, true);
  const begun = performance.now();
  await world.node(other).mount(id);
  t.diagnostic(`staged and published ${((performance.now() - begun) / 1000).toFixed(1)} s after the taint`);
  await checkRecords(world.lab, guest(other), records(id, other), count);
  const now = (await world.volume(id))!;
  assert.deepEqual({ owner: now.status!.owner!.nodeName, R: recorded(now).map((p) => p.nodeID) }, { owner: other, R: [other] });
  await world.powerOn(home);
  await outOfService(home, false);
  await untilHealthy(world, id, 180);
  assert.equal((await arrays(guest(other)))[0]!.members.length, 2);
  await end(id, other);
});

test("cut off from everybody: nothing it wrote alone was acknowledged; after the silence the third node takes over, and the former owner stops by itself", async (t) => {
  const { id, home, third, writer } = await inUse("pvc-isolated");
  await world.lab.net.isolate(home);
  const from = performance.now();
  await eventually("the writes are held", 30, async () => {
    const count = writer.acks().length;
    await sleep(4_000);
    return writer.acks().length === count || "still going on";
  });
  const count = writer.acks().length;
  await eventually(`${third} stages the volume`, 300, async () => {
    await world.node(third).stage(id, 60);
    return true;
  });
  t.diagnostic(`taken over ${((performance.now() - from) / 1000).toFixed(1)} s after the cut`);
  await world.node(third).publish(id);
  await checkRecords(world.lab, guest(third), records(id, third), count);
  assert.equal(writer.acks().length, count, "nothing was acknowledged behind the cut");
  // A read on the former owner gets no answer (I10): it is suspended, and the reader hangs until the volume is stopped by force.
  const read = await guest(home).spawn(["dd", `if=${records(id, home)}`, "iflag=direct", "bs=4096", "count=1", "of=/dev/null"], {});
  assert.equal(await Promise.race([read.exited, sleep(5_000).then(() => "no answer")]), "no answer");
  await world.lab.net.heal();
  await eventually("nothing but its partition is left on the former owner", 120, async () => {
    const left = (await traces(guest(home))).filter((line) => !line.startsWith("partition") && !line.startsWith("export") && !line.startsWith("port"));
    return left.length === 0 || left.join(", ");
  });
  assert.notEqual((await read.exited).code, 0, "the reader was killed, or met an error");
  await end(id, third);
});
