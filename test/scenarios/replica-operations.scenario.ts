/**
 * The six scenarios of Mayastor's "Replica Operations", in its order and by its names, under load: a pool is a drive, Online
 * is a volume whose wanted copies are in sync, Degraded one with fewer, a Faulted replica a partition in state Faulty.
 * @minutes 25
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MeshStorVolume, PartitionRecord } from "../../src/api/volume.ts";
import { driveFaults } from "../../lab/guest/drives.ts";
import { arrays, dataChecksum, recorded } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume } from "../../lab/world/volumes.ts";
import { eventually } from "../../lab/world/wait.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World } from "../../lab/world/world.ts";

const TIMEOUT = { memberMissingTimeout: "60" };
let world: World;
/** The volume of scenarios two and three, and the one of four to six. */
let two: string;
let four: string;
let writer: Writer;

before(async () => {
  world = await World.up();
});
after(() => world?.down());

const guest = (name: string) => world.lab.guest(name);
const live = (v: MeshStorVolume) => v.status!.partitions!.filter((p) => p.state !== "Deleting");
const nodesOf = (v: MeshStorVolume) => [...new Set(live(v).map((p) => p.nodeID))].sort();
const said = (v: MeshStorVolume) =>
  `${v.status!.phase} ${v.status!.mdState} ready ${v.status!.ready}: ${v.status!.partitions!.map((p) => `${p.nodeID} ${p.drive} ${p.state}`).join(", ")}; ${v.status!.message ?? ""}`;
const memberOn = (v: MeshStorVolume, node: string) => live(v).find((p) => p.nodeID === node)!;
const indexOf = (p: PartitionRecord) => Number(/-(\d+):1$/.exec(p.drive)![1]);
const fileOf = (id: string) => `${world.node("n1").targetPath(id)}/records`;

/** Online: every wanted copy is in sync, and nothing else is there that is not being wiped. */
function untilOnline(id: string, copies: number, seconds = 180): Promise<MeshStorVolume> {
  return world.untilVolume(id, `is online with ${copies} copies`, seconds, (v) => {
    const s = v.status!;
    const ok = s.phase === "Synced" && s.mdState === "active" && s.ready === `${copies}/${copies}` && live(v).every((p) => p.state === "Synced") && nodesOf(v).length === copies;
    return ok || said(v);
  });
}

function untilDegraded(id: string, node: string): Promise<MeshStorVolume> {
  return world.untilVolume(id, `is degraded without node ${node}`, 60, (v) => (v.status!.mdState !== "active" && !recorded(v).some((p) => p.nodeID === node)) || said(v));
}

async function load(id: string): Promise<Writer> {
  await world.node("n1").mount(id);
  return Writer.start(world.lab, guest("n1"), fileOf(id));
}

/** The application went on, met no error, and every record that it was promised is there. */
async function endLoad(id: string): Promise<void> {
  await writer.progress(50, 60);
  await writer.stop();
  assert.deepEqual(writer.errors(), []);
  await checkRecords(world.lab, guest("n1"), fileOf(id), writer.acks().length);
}

/** Unmounted, all members are equal on their own drives; then deleted, without waiting for drives that are gone. */
async function equalAndGone(id: string): Promise<void> {
  await world.node("n1").unmount(id);
  const members = recorded((await world.volume(id))!);
  const sums = await Promise.all(members.map((p) => dataChecksum(guest(p.nodeID), p)));
  assert.deepEqual([sums.length > 1, new Set(sums).size], [true, 1]);
  await deleteVolume(world, id, { wait: false });
}

async function scale(id: string, replicas: number): Promise<void> {
  await world.kubectl("scale", `msvol/${id}`, `--replicas=${replicas}`);
}

async function setUse(node: string, index: number, use: string): Promise<void> {
  await world.kubectl("patch", "msnd", `${node}.lab-${node}-${index}`, "--type=merge", "-p", JSON.stringify({ spec: { use } }));
}

/** Reboots a guest whose drive was pulled out: it has the drive again. */
async function reboot(node: string): Promise<void> {
  await world.powerOff(node);
  await world.powerOn(node);
}

test("Scenario One: two nodes with two drives each; a drive fails, a new replica is made on the node's other drive", async () => {
  await world.kubectl("cordon", "n3");
  const id = await createVolume(world, "pvc-one", { parameters: { numberOfCopies: "2", ...TIMEOUT }, preferred: ["n1", "n2"] });
  writer = await load(id);
  const before = memberOn((await world.volume(id))!, "n2");
  await driveFaults.pull(guest("n2"), indexOf(before));
  await untilDegraded(id, "n2");
  await writer.progress(100, 60);
  const healed = await untilOnline(id, 2);
  const after = memberOn(healed, "n2");
  assert.deepEqual([nodesOf(healed), after.drive === before.drive, after.replaces], [["n1", "n2"], false, before.partitionUUID]);
  await endLoad(id);
  await equalAndGone(id);
  await reboot("n2");
  await eventually("the volume is gone with what was on the drive that is back", 120, async () => (await world.volume(id)) === null || "its object is there");
  await world.kubectl("uncordon", "n3");
});

test("Scenario Two: three nodes with one drive each; a drive is lost, the third node takes the replica", async () => {
  for (const node of world.names) await setUse(node, 1, "Exclude");
  two = await createVolume(world, "pvc-two", { parameters: { numberOfCopies: "2", ...TIMEOUT }, preferred: ["n1", "n2"] });
  writer = await load(two);
  await driveFaults.pull(guest("n2"), indexOf(memberOn((await world.volume(two))!, "n2")));
  await untilDegraded(two, "n2");
  const healed = await untilOnline(two, 2);
  assert.deepEqual(nodesOf(healed), ["n1", "n3"]);
  await writer.progress(50, 60);
});

test("Scenario Three: the drive is back, the user scales from 2 to 3, its node takes the new replica", async () => {
  await reboot("n2");
  await world.untilVolume(two, "has nothing left to wipe on node n2", 120, (v) => v.status!.partitions!.every((p) => p.nodeID !== "n2") || said(v));
  await scale(two, 3);
  const degraded = await world.untilVolume(two, "is degraded while it grows", 60, (v) => v.status!.degraded === 1 || v.status!.ready === "3/3" || said(v));
  assert.ok(degraded.status!.ready === "2/3" || degraded.status!.ready === "3/3");
  const healed = await untilOnline(two, 3);
  assert.deepEqual(nodesOf(healed), ["n1", "n2", "n3"]);
  const [array] = await arrays(guest("n1"));
  assert.deepEqual([array!.raidDisks, array!.degraded], [3, 0]);
  await endLoad(two);
  await equalAndGone(two);
  for (const node of world.names) await setUse(node, 1, "Auto");
});

test("Scenario Four: three copies on three nodes; a node goes down, nothing can take its replica: degraded, and it says why", async () => {
  four = await createVolume(world, "pvc-four", { parameters: { numberOfCopies: "3", ...TIMEOUT } });
  writer = await load(four);
  await world.powerOff("n3");
  await untilDegraded(four, "n3");
  const given = await world.untilVolume(four, "says that there is no place", 150, (v) => {
    const there = memberOn(v, "n3");
    return (there.state === "Faulty" && (there.message ?? "").startsWith("No replacement node available: ")) || said(v);
  });
  await world.untilVolume(four, "says so to all", 30, (v) => (v.status!.message ?? "").includes("No replacement node available") || said(v));
  assert.deepEqual(nodesOf(given), ["n1", "n2", "n3"]);
  await writer.progress(50, 60);
});

test("Scenario Five: the user scales from 3 to 2: the faulted replica goes first, the volume is online", async () => {
  await scale(four, 2);
  const healed = await untilOnline(four, 2);
  assert.deepEqual([nodesOf(healed), healed.status!.placementMessage], [["n1", "n2"], undefined]);
  assert.deepEqual(
    healed.status!.partitions!.filter((p) => p.nodeID === "n3").map((p) => [p.state, p.detached]),
    [["Deleting", true]],
    "disowned: wiped when its node is back",
  );
  const [array] = await arrays(guest("n1"));
  assert.deepEqual([array!.raidDisks, array!.degraded], [2, 0]);
});

test("Scenario Six: the node is back, the user scales from 2 to 3: it takes the new replica", async () => {
  await world.powerOn("n3");
  await scale(four, 3);
  const healed = await untilOnline(four, 3);
  assert.deepEqual(nodesOf(healed), ["n1", "n2", "n3"]);
  await endLoad(four);
  await equalAndGone(four);
});
