/**
 * Volumes grow while they are written to: where there is room behind their partitions, where another volume lies there (the
 * member moves, never degraded), striped, raw, and with a provider off. Then an owner of a raw device and of an ext4 is cut
 * off with writes held: it is taken over, and the former owner stops by force.
 * @minutes 30
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before } from "node:test";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { partitionSize } from "../../src/core/sizes.ts";
import { arrays, dataChecksum, partitionDevice, recorded, traces } from "../../lab/world/inspect.ts";
import { MOUNT_EXT4, RAW } from "../../lab/world/node-program.ts";
import { Registers } from "../../lab/world/registers.ts";
import { createVolume, deleteVolume, expandVolume, untilHealthy, type VolumeRequest } from "../../lab/world/volumes.ts";
import { eventually, sleep } from "../../lab/world/wait.ts";
import { VolumeWatch } from "../../lab/world/watch.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World } from "../../lab/world/world.ts";
import { judgeRegisters } from "../chaos/judge.ts";
import { inOrder } from "../in-order.ts";

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const [HOME, OTHER] = ["n1", "n2"] as const;

let world: World;
let plain: string;
let wide: string;
let raw: string;
const writers = new Map<string, Writer>();
const reports: Registers[] = [];

/** The steps build on each other. */
const test = inOrder();

before(async () => {
  const drives = [{ size: 6 * GiB }, { size: 6 * GiB }];
  world = await World.up({ nodes: ["n1", "n2", "n3"].map((name) => ({ name, drives })) });
});
after(() => world?.down());

const guest = (name: string) => world.lab.guest(name);
const pathOf = (id: string, on: string = HOME) => world.node(on).targetPath(id);
const create = (name: string, more: VolumeRequest = {}) => createVolume(world, name, { preferred: [HOME, OTHER], ...more });
const membersOf = (v: MeshStorVolume) => v.status!.partitions!.filter((p) => p.state !== "Deleting");
const dfOf = async (id: string) => Number(await guest(HOME).sh(`df -B1 --output=size ${pathOf(id)} | tail -1`));
const bytesOf = async (path: string) => Number(await guest(HOME).sh(`blockdev --getsize64 ${path}`));

async function work(id: string): Promise<Writer> {
  const writer = await Writer.start(world.lab, guest(HOME), `${pathOf(id)}/records`);
  writers.set(id, writer);
  return writer;
}

/** Bytes that lie free behind each partition of a node's drives, as its kernel has them. */
async function roomBehind(name: string): Promise<Map<string, number>> {
  const listed = await guest(name).sh(
    `for p in /sys/block/nvme*/nvme*p*/partition; do d=$(dirname $p); n=$(basename $d); echo $(basename $(dirname $d)) $(cat $d/../size) $(cat $d/start) $(cat $d/size) $(lsblk -dnro PARTUUID /dev/$n); done`,
  );
  const all = listed.split("\n").map((line) => {
    const [drive = "", ...words] = line.split(" ");
    const [driveEnd, start, size] = words.slice(0, 3).map((w) => Number(w) * 512) as [number, number, number];
    return { drive, driveEnd: driveEnd - MiB, start, end: start + size, uuid: words[3] ?? "" };
  });
  return new Map(all.map((p) => [p.uuid, Math.min(p.driveEnd, ...all.filter((x) => x.drive === p.drive && x.start >= p.end).map((x) => x.start)) - p.end]));
}

/**
 * Grows what is in use on HOME, and holds it against every state of the record and every sample of the kernel: a member of R
 * was never smaller than the size that was recorded, and never was a mirror without its two members. Returns how many moved.
 */
async function grow(id: string, to: number, degraded = false): Promise<{ moved: number; stayed: number }> {
  const before = (await world.volume(id))!;
  const rooms = new Map(degraded ? [] : [...(await roomBehind(HOME)), ...(await roomBehind(OTHER))]);
  const df = before.spec.volumeMode === "Block" ? 0 : await dfOf(id);
  const watch = await VolumeWatch.start(world, id, guest(HOME));
  await expandVolume(world, id, HOME, to, 300);
  if (df > 0) assert.ok((await dfOf(id)) >= df + 0.9 * (to - before.spec.capacityBytes), `df: ${df} before, ${await dfOf(id)} after`);
  if (!degraded) await untilHealthy(world, id);
  const { states, samples } = await watch.stop();
  expectBigEnough(states);
  assert.ok(samples.length > 0, "the kernel was looked at");
  const after = (await world.volume(id))!;
  if (degraded) return { moved: 0, stayed: 0 };
  for (const array of samples.flat()) assert.ok(array.members.filter((m) => m.flags.includes("in_sync")).length >= 2, `never degraded: ${JSON.stringify(array)}`);
  for (const { status } of states) {
    assert.deepEqual([status!.degraded ?? 0, status!.mdState === "degraded"], [0, false], "msvol was never degraded");
    for (const mirror of status!.mirrors!) assert.ok(mirror.inSync.length >= 2, "two members are recorded all the time");
  }
  const wanted = partitionSize({ ...before.spec, capacityBytes: to });
  const kept = new Set(membersOf(after).map((p) => p.partitionUUID));
  for (const p of membersOf(before))
    assert.equal(kept.has(p.partitionUUID), rooms.get(p.partitionUUID)! >= wanted - p.sizeBytes, `${p.nodeID} ${p.drive}: moved if and only if there was no room`);
  for (const p of membersOf(after))
    assert.deepEqual([p.sizeBytes, Number(await guest(p.nodeID).sh(`blockdev --getsize64 ${await partitionDevice(guest(p.nodeID), p.partitionUUID)}`))], [wanted, wanted]);
  const stayed = membersOf(before).filter((p) => kept.has(p.partitionUUID)).length;
  return { stayed, moved: membersOf(before).length - stayed };
}

/** A member of R is never smaller than what is recorded as the size. */
function expectBigEnough(states: readonly MeshStorVolume[]): void {
  for (const v of states) {
    const { sizeBytes } = v.status!;
    if (sizeBytes === undefined) continue;
    const needed = partitionSize({ ...v.spec, capacityBytes: sizeBytes });
    for (const mirror of v.status!.mirrors ?? [])
      for (const p of recorded(v, mirror.index)) assert.ok(p.sizeBytes >= needed, `${p.partitionUUID} has ${p.sizeBytes} of ${needed} bytes`);
  }
}

/** Unmounted, its members are equal on their own drives; then it goes. */
async function equalAndGone(id: string, on: string): Promise<void> {
  await world.node(on).unmount(id);
  const v = (await world.volume(id))!;
  for (const mirror of v.status!.mirrors!) {
    const sums = await Promise.all(recorded(v, mirror.index).map((p) => dataChecksum(guest(p.nodeID), p)));
    assert.deepEqual([sums.length, new Set(sums).size], [2, 1], `members of mirror ${mirror.index} are equal`);
  }
  await deleteVolume(world, id);
}

test("a filesystem and a raw device grow where they are, while they are written to", async () => {
  raw = await create("pvc-raw", { capability: RAW });
  plain = await create("pvc-plain");
  await world.node(HOME).mount(raw, RAW);
  await world.node(HOME).mount(plain);
  reports.push(await Registers.start(world.lab, guest(HOME), pathOf(raw), 1));
  const writer = await work(plain);
  assert.deepEqual(await grow(plain, 576 * MiB), { moved: 0, stayed: 2 });
  await grow(raw, 576 * MiB);
  assert.equal(await bytesOf(pathOf(raw)), 576 * MiB, "the pod's device is bigger, through the node that it has open");
  await writer.progress(20, 60);
});

test("a provider is off meanwhile: the volume grows without it, and what it has is used again only once it has grown, and in full", async () => {
  await world.powerOff(OTHER);
  for (const id of [plain, raw]) await world.untilVolume(id, "goes on without its provider", 120, (v) => recorded(v).length === 1 || "two in sync");
  await writers.get(plain)!.progress(20, 60);
  const watch = await VolumeWatch.start(world, plain, guest(HOME));
  await grow(plain, 640 * MiB, true);
  const grown = (await world.volume(plain))!;
  const away = membersOf(grown).find((p) => p.nodeID === OTHER)!;
  assert.deepEqual([grown.status!.sizeBytes, away.sizeBytes, away.outSince], [640 * MiB, partitionSize({ capacityBytes: 576 * MiB, drivesPerCopy: 1 }), undefined]);
  await world.powerOn(OTHER);
  await untilHealthy(world, plain, 180);
  await untilHealthy(world, raw, 180);
  expectBigEnough((await watch.stop()).states);
  const joins = readFileSync(world.node(HOME).logPath, "utf8").matchAll(/"kind":"(ReAddMember|AddMember)","device":"\w+","partitionUUID":"([0-9a-f-]+)"/g);
  assert.deepEqual(
    [...joins].filter((m) => m[2] === away.partitionUUID).map((m) => m[1]),
    ["AddMember"],
    "its bitmap says nothing any more: in full",
  );
});

test("a striped volume grows where it is", async () => {
  wide = await create("pvc-wide", { parameters: { drivesPerCopy: "2" } });
  await world.node(HOME).mount(wide);
  const writer = await work(wide);
  assert.deepEqual(await grow(wide, 576 * MiB), { moved: 0, stayed: 4 });
  await writer.progress(20, 60);
});

test("the striped volume lies right behind: the member moves, in an added slot, never degraded", async (t) => {
  const { moved, stayed } = await grow(plain, 704 * MiB);
  t.diagnostic(`${moved} members moved, ${stayed} grew where they were`);
  assert.ok(moved > 0, "engaged: there was no room behind it");
  await writers.get(plain)!.progress(20, 60);
});

test("and a striped volume moves what of it has no room", async (t) => {
  const { moved, stayed } = await grow(wide, 640 * MiB);
  t.diagnostic(`${moved} members moved, ${stayed} grew where they were`);
  assert.ok(moved > 0, "engaged: there was no room behind a part of it");
  const slots = (await arrays(guest(HOME))).map((a) => [a.raidDisks, a.degraded]);
  assert.deepEqual(slots, [
    [2, 0],
    [2, 0],
    [2, 0],
    [2, 0],
  ]);
  await writers.get(wide)!.progress(20, 60);
});

test("every acknowledged record is found, and the members are equal", async () => {
  for (const id of [plain, wide]) {
    const writer = writers.get(id)!;
    await writer.stop();
    assert.deepEqual(writer.errors(), [], "the application met no error");
    await checkRecords(world.lab, guest(HOME), `${pathOf(id)}/records`, writer.acks().length);
    await equalAndGone(id, HOME);
  }
});

test("a raw device and an ext4, their owner cut off with writes held: taken over; nothing is lost, the former owner stops by force", async (t) => {
  const ext4 = await create("pvc-ext4", { capability: MOUNT_EXT4 });
  await world.node(HOME).mount(ext4, MOUNT_EXT4);
  const writer = await work(ext4);
  await writer.progress(30, 60);
  await world.lab.net.isolate(HOME);
  const first = reports[0]!;
  const said = () => `${writer.acks().length} ${[...first.text().matchAll(/^W /gm)].length}`;
  await eventually("the writes are held", 40, async () => {
    const before = said();
    await sleep(4_000);
    return said() === before || "still going on";
  });
  const [held, acknowledged] = [said(), writer.acks().length];
  const from = performance.now();
  const both = [
    [raw, RAW],
    [ext4, MOUNT_EXT4],
  ] as const;
  await Promise.all(
    both.map(([id, capability]) =>
      eventually(`${OTHER} stages ${id}`, 300, async () => {
        await world.node(OTHER).stage(id, 60, capability);
        return true;
      }),
    ),
  );
  t.diagnostic(`taken over ${((performance.now() - from) / 1000).toFixed(1)} s after the writes were held`);
  for (const [id, capability] of both) await world.node(OTHER).publish(id, capability);
  await checkRecords(world.lab, guest(OTHER), `${pathOf(ext4, OTHER)}/records`, acknowledged);
  reports.push(await Registers.start(world.lab, guest(OTHER), pathOf(raw, OTHER), 2));
  await world.lab.net.heal();
  await eventually("nothing but partitions is left on the former owner", 180, async () => {
    const left = (await traces(guest(HOME))).filter((line) => !/^(partition|export|port) /.test(line));
    return left.length === 0 || left.join(", ");
  });
  assert.equal(said(), held, "nothing was acknowledged behind the cut");
  for (const [id] of both) await untilHealthy(world, id, 240);
  await sleep(2_000);
  await reports[1]!.stop();
  const { acknowledged: registers, reads, wrong } = judgeRegisters(reports.map((r) => ({ text: r.text() })));
  assert.deepEqual(wrong, []);
  t.diagnostic(`${registers} register writes and ${reads} reads of the raw device`);
  for (const [id] of both) await equalAndGone(id, OTHER);
  for (const name of world.names) assert.deepEqual(await traces(guest(name)), [], `nothing is left on ${name}`);
});
