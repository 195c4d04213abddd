/**
 * SIGKILL around every kind of action: the node programs die after each kind once, before what it did is seen or recorded, on
 * the way of one long story (MESHSTOR_MOMENTS=all: before each kind as well; what is found then is what the action before left): made, mounted, a provider lost and back, a connection lost before its member joined, grown in
 * place and where there is no room, the owner's reboot, a move to a node without a copy and the copy that follows it, an owner
 * cut off from everybody and replaced, deletion, and a drive that filled up. A kind that the story does not meet fails the test. In between the application
 * writes; it meets no error, and every record is found.
 *
 * @minutes 40
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ACTION_KINDS, type ActionKind } from "../../src/core/action.ts";
import { arrays, dataChecksum, recorded, traces } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, expandVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { eventually, sleep } from "../../lab/world/wait.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World } from "../../lab/world/world.ts";
import { inOrder } from "../in-order.ts";
import { Moments, momentsOf, Mortal } from "./support/mortal.ts";

/** Kinds that the story of this file does not make happen, each with where it is told. Keep it short. */
const RAW = "killed at every step in the model's stories (src/core/testing/stories.ts)";
const ELSEWHERE: Partial<Record<ActionKind, string>> = {
  BindDevice: RAW,
  FailVolume: RAW,
  SuspendVolume: "the guard is quicker as a rule; killed at every step in the model's stories (src/core/testing/stories.ts)",
};

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const moments = new Moments(
  momentsOf(
    ACTION_KINDS.filter((kind) => !(kind in ELSEWHERE)),
    process.env["MESHSTOR_MOMENTS"] === "all",
  ),
);
let world: World;
let id: string;
let home: string;
let provider: string;
let third: string;
let mortals: ReadonlyMap<string, Mortal>;
let acknowledged = 0;

const guest = (name: string) => world.lab.guest(name);
const mortal = (name: string) => mortals.get(name)!;
const all = (what: (m: Mortal) => Promise<void>) => Promise.all([...mortals.values()].map(what));
const untilOut = (name: string) => world.untilVolume(id, `goes on without ${name}`, 120, (v) => recorded(v).every((p) => p.nodeID !== name) || `${name} is still recorded`);
const healthy = () => untilHealthy(world, id, 240);
const left = async (name: string) => (await traces(guest(name))).filter((t) => !t.startsWith("partition"));

before(async () => {
  const drives = [{ size: 3 * GiB }, { size: 3 * GiB }];
  world = await World.up({ nodes: ["n1", "n2", "n3"].map((name) => ({ name, drives })) });
  mortals = new Map(world.names.map((name) => [name, new Mortal(world.node(name), moments)]));
  await all((m) => m.begin());
});
after(async () => {
  if (moments.unexplained.length > 0) console.log(`programs that ended by themselves: ${moments.unexplained.join("; ")}`);
  // One that hangs in its kernel (that is a failure of the product) does not keep the lab from being taken down.
  await Promise.race([all((m) => m.end()).catch(() => {}), sleep(10_000)]);
  await world?.down();
});

/** The application writes during `story`, and met no error; its records are counted. */
async function underLoad(on: string, story: (writer: Writer) => Promise<void>): Promise<void> {
  const writer = await Writer.start(world.lab, guest(on), `${world.node(on).targetPath(id)}/records`);
  await story(writer);
  await writer.progress(20, 60);
  assert.deepEqual(writer.errors(), [], "the application met no error");
  await writer.stop();
  acknowledged += writer.acks().length;
}

/** One chapter; told only if those before it ended well. Says which crashes it met. */
const test = inOrder();
let told = 0;
function chapter(title: string, story: () => Promise<void>): void {
  test(title, async (t) => {
    await story();
    t.diagnostic(`${moments.met.length - told} crashes: ${moments.met.slice(told).join(", ")}`);
    told = moments.met.length;
  });
}

chapter("made, staged and published while the programs die at every step", async () => {
  await eventually("the volume is made", 300, async () => {
    id = await createVolume(world, "pvc-kill");
    return true;
  });
  const nodes = (await world.volume(id))!.status!.partitions!.map((p) => p.nodeID);
  [home, provider] = [nodes[0]!, nodes[1]!];
  third = world.names.find((name) => !nodes.includes(name))!;
  await mortal(home).mount(id);
  await healthy();
  const [array] = await arrays(guest(home));
  assert.deepEqual({ degraded: array!.degraded, flags: array!.members.map((m) => m.flags).sort() }, { degraded: 0, flags: ["in_sync", "in_sync,write_mostly"] });
});

chapter("the provider loses power and returns; the first connection dies before its member joins", async () => {
  await underLoad(home, async (writer) => {
    await mortal(provider).end();
    await world.powerOff(provider);
    await untilOut(provider);
    await writer.progress(20, 120);
    await eventually("nothing of the lost member is left on its owner", 120, async () => {
      const facts = await arrays(guest(home));
      return facts[0]!.members.length === 1 || JSON.stringify(facts);
    });
    const connected = mortal(home).once("after:Connect");
    await guest(provider).powerOn();
    await mortal(provider).begin();
    await connected;
    moments.died(home, "after:Connect", "SIGKILL");
    await world.lab.net.cut(home, provider);
    await eventually("the new connection is lost", 60, async () => {
      const connections = (await left(home)).filter((line) => line.startsWith("connection"));
      assert.equal(connections.length, 1);
      return !connections[0]!.endsWith(" live") || connections[0]!;
    });
    await world.lab.net.heal();
    await mortal(home).begin();
    await healthy();
  });
});

chapter("it grows where it is, and where something lies behind one of its partitions: that one moves", async () => {
  const grow = async (bytes: number) => {
    await mortal(home).insist(`expand ${id}`, () => expandVolume(world, id, home, bytes, 20));
    await healthy();
  };
  await underLoad(home, async () => {
    await grow(576 * MiB);
    const member = recorded((await world.volume(id))!).find((p) => p.nodeID === home)!;
    const behind = `p=$(basename $(readlink -f /dev/disk/by-partuuid/${member.partitionUUID})); d=/sys/class/block/$p; echo start=$(($(cat $d/start) + $(cat $d/size))),size=2048,type=0FC63DAF-8483-4772-8E79-3D69D8477DE4 | sfdisk --append --no-reread /dev/$(basename $(readlink -f $d/..))`;
    await guest(home).sh(behind);
    await grow(640 * MiB);
    assert.ok(!(await world.volume(id))!.status!.partitions!.some((p) => p.partitionUUID === member.partitionUUID), "it moved");
  });
});

chapter("the owner's node loses power: staged again there, from one member, the other comes back", async () => {
  await underLoad(home, async (writer) => {
    await writer.progress(50, 60);
  });
  await guest(home).sh(`sync -f ${world.node(home).targetPath(id)}/records`);
  await mortal(home).end();
  await world.powerOff(home);
  await guest(home).powerOn();
  await mortal(home).begin();
  await mortal(home).mount(id);
  await healthy();
  await checkRecords(world.lab, guest(home), `${world.node(home).targetPath(id)}/records`, acknowledged);
});

chapter("moved to a node without a copy: the copy follows, the excess one is wiped", async () => {
  await mortal(home).unmount(id);
  assert.deepEqual(await left(home), [], "nothing but the partition is left on the former node");
  await mortal(third).mount(id);
  await underLoad(third, async () => {
    await world.untilVolume(id, "has its copies on the pod's node and one other", 300, (v) => {
      const places = v.status!.partitions!.map((p) => `${p.nodeID} ${p.state}`);
      return (places.length === 2 && places.includes(`${third} Synced`)) || places.join(", ");
    });
    await healthy();
    await eventually("the mirror has two slots again", 60, async () => {
      const facts = await arrays(guest(third));
      return (facts[0]!.raidDisks === 2 && facts[0]!.members.length === 2) || JSON.stringify(facts);
    });
  });
  const kept = (await world.volume(id))!.status!.partitions!.map((p) => p.nodeID);
  const dropped = [home, provider].find((name) => !kept.includes(name))!;
  assert.deepEqual(await traces(guest(dropped)), [], "nothing is left on the node that gave its copy up");
  await checkRecords(world.lab, guest(third), `${world.node(third).targetPath(id)}/records`, acknowledged);
});

chapter("reads that somebody turned away from the local member come back to it", async () => {
  const [array] = await arrays(guest(third));
  const local = array!.members.find((m) => m.flags === "in_sync")!;
  const script = `for d in /sys/block/${array!.device}/md/dev-*; do [ "$(cat $d/slot)" = ${local.slot} ] && echo writemostly >$d/state; done; true`;
  await underLoad(third, async () => {
    await mortal(third).end();
    await guest(third).sh(script);
    assert.ok(
      (await arrays(guest(third)))[0]!.members.every((m) => m.flags === "in_sync,write_mostly"),
      "the fault engaged",
    );
    await mortal(third).begin();
    await eventually("the local member is preferred again", 60, async () => {
      const flags = (await arrays(guest(third)))[0]!.members.map((m) => m.flags).sort();
      return flags.join(" ") === "in_sync in_sync,write_mostly" || flags.join(" ");
    });
  });
});

chapter("cut off from everybody: the other copy's node takes the volume over, the former owner stops by force and gets it back", async () => {
  const other = recorded((await world.volume(id))!)
    .map((p) => p.nodeID)
    .find((name) => name !== third)!;
  const writer = await Writer.start(world.lab, guest(third), `${world.node(third).targetPath(id)}/records`);
  await writer.progress(50, 60);
  await world.lab.net.isolate(third);
  await mortal(other).mount(id);
  acknowledged += writer.acks().length;
  await checkRecords(world.lab, guest(other), `${world.node(other).targetPath(id)}/records`, acknowledged);
  await world.lab.net.heal();
  await eventually("nothing of the volume runs on the former owner", 240, async () => {
    const runs = (await left(third)).filter((line) => !line.startsWith("export") && !line.startsWith("port"));
    return runs.length === 0 || runs.join(", ");
  });
  await mortal(third).unmount(id);
  await underLoad(other, async () => void (await healthy()));
  await mortal(other).unmount(id);
  await mortal(third).mount(id);
  await checkRecords(world.lab, guest(third), `${world.node(third).targetPath(id)}/records`, acknowledged);
});

chapter("unstaged and staged again in one place, then deleted: records whole, members equal, nothing left", async () => {
  await mortal(third).unmount(id);
  const file = `${await mortal(third).mount(id)}/records`;
  await checkRecords(world.lab, guest(third), file, acknowledged);
  await mortal(third).unmount(id);
  const volume = (await world.volume(id))!;
  const sums = await Promise.all(recorded(volume).map((p) => dataChecksum(guest(p.nodeID), p)));
  assert.equal(sums.length, 2);
  assert.equal(new Set(sums).size, 1, "members are identical");
  await deleteVolume(world, id);
  for (const name of world.names) assert.deepEqual(await traces(guest(name)), [], `nothing is left on ${name}`);
});

chapter("a drive fills up between placement and creation: the copy goes elsewhere", async () => {
  await mortal("n1").end();
  const wanted = createVolume(world, "pvc-elsewhere", { preferred: ["n1"], parameters: { numberOfCopies: "1" }, seconds: 240 });
  const placed = (volume: Awaited<ReturnType<World["volume"]>>) => (volume?.status?.partitions ?? []).map((p) => `${p.nodeID} ${p.state}`).join(", ");
  await eventually("the volume is placed on n1", 30, async () => {
    const [name] = (await world.kubectl("get", "msvol", "-o", "name"))
      .trim()
      .split("\n")
      .filter((line) => line !== "");
    const text = name ? placed(await world.volume(name.split("/")[1]!)) : "no volume yet";
    return text === "n1 Requested" || text;
  });
  const fill = `for d in $(lsblk -rndo NAME | grep nvme); do echo ',,0FC63DAF-8483-4772-8E79-3D69D8477DE4' | sfdisk --append --no-reread /dev/$d; done`;
  await guest("n1").sh(fill);
  await mortal("n1").begin();
  const other = await wanted;
  const [copy] = (await world.volume(other))!.status!.partitions!.filter((p) => p.state === "Created");
  assert.ok(copy && copy.nodeID !== "n1", "it is on another node");
  await deleteVolume(world, other);
  for (const name of world.names) assert.deepEqual(await traces(guest(name)), [], `nothing is left on ${name}`);
});

test("every kind of action was met", async () => {
  await sleep(1_000);
  assert.deepEqual([...moments.pending], [], "moments that no story met");
  assert.deepEqual(moments.unexplained, [], "programs that ended by themselves");
});
