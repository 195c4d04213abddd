/**
 * Which drives are used, and which are not touched: node n1 has one of every kind, the other nodes have drives that were
 * full of 0xA5 and refuse Write Zeroes. What is not ours to use says why, is never placed on, and keeps every byte (I9).
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { crc32 } from "node:zlib";
import { CsiError } from "../../lab/world/csi-client.ts";
import { Lab } from "../../lab/cluster.ts";
import type { DriveSpec } from "../../lab/guest/drives.ts";
import { labPaths } from "../../lab/state.ts";
import { arrays, dataChecksum, isZero, partitionDevice, recorded, traces } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume } from "../../lab/world/volumes.ts";
import { eventually } from "../../lab/world/wait.ts";
import { World } from "../../lab/world/world.ts";

const MiB = 1024 ** 2;
const SIZE = 640 * MiB;
/** One drive of n1: what is on it, what is done to it before the node program starts, and what msnd must say. */
interface Kind {
  readonly name: string;
  readonly drive: DriveSpec;
  /** Shell, with the drive in $d. */
  readonly prepare?: string;
  readonly health: RegExp;
}

const KINDS: readonly Kind[] = [
  {
    name: "a GPT with partitions of somebody else",
    drive: { size: 1536 * MiB },
    prepare:
      "printf 'size=32MiB\\nsize=16MiB, type=S\\n' | sfdisk -q $d; udevadm settle; for p in 1 2; do dd if=/dev/urandom of=${d}p$p bs=1M count=16 conv=fsync status=none; done",
    health: /^Usable$/,
  },
  { name: "nothing at all", drive: { size: SIZE, table: "none" }, health: /^No partition table; set spec\.use to Initialize/ },
  { name: "an MBR", drive: { size: SIZE, table: "none" }, prepare: "printf 'size=64MiB\\n' | sfdisk -q --label dos $d", health: /^Partition table is MBR/ },
  {
    name: "a filesystem, mounted",
    drive: { size: SIZE, table: "none" },
    prepare: "mkfs.xfs -q $d; mkdir -p /mnt/foreign; mount -o ro,norecovery $d /mnt/foreign",
    health: /^Whole drive is in use: mounted at \/mnt\/foreign$/,
  },
  { name: "a filesystem, not mounted", drive: { size: SIZE, table: "none" }, prepare: "mkfs.xfs -q $d", health: /^Whole drive carries xfs$/ },
  {
    name: "LVM's physical volume",
    drive: { size: SIZE, table: "none" },
    prepare: "dd if=/run/pv of=$d conv=notrunc,fsync status=none",
    health: /^Whole drive carries LVM2_member$/,
  },
  { name: "a GPT, read-only", drive: { size: SIZE }, prepare: "blockdev --setro $d", health: /^Drive is read-only$/ },
  {
    name: "a GPT, in use as a whole",
    drive: { size: SIZE },
    prepare: 'dmsetup create foreign --noudevsync --table "0 $(blockdev --getsz $d) linear $d 0"',
    health: /^Whole drive is in use: dm-\d+$/,
  },
  { name: "a GPT, excluded by name", drive: { size: SIZE }, health: /^Excluded by spec\.use$/ },
  { name: "nothing, given by name", drive: { size: SIZE, table: "none" }, health: /^Usable$/ },
  { name: "a GPT, sectors of 4096 bytes", drive: { size: SIZE, sectorSize: 4096 }, health: /^Usable$/ },
];
const at = (name: string) => KINDS.findIndex((k) => k.name === name);
const FOREIGN = at("a GPT with partitions of somebody else");
const EXCLUDED = at("a GPT, excluded by name");
const GIVEN = at("nothing, given by name");
const BLANK = at("nothing at all");
const UNUSED = KINDS.flatMap((kind, index) => (kind.health.source.startsWith("^Usable") ? [] : [index]));
const serial = (index: number) => `LAB-N1-${index}`;
const object = (index: number) => `n1.lab-n1-${index}`;

/** LVM's label: sector 1 of the drive, as `pvcreate` writes it. */
function physicalVolume(): Buffer {
  const image = Buffer.alloc(1024);
  const label = image.subarray(512);
  label.write("LABELONE", 0, "latin1");
  label.writeBigUInt64LE(1n, 8);
  label.writeUInt32LE(32, 20);
  label.write("LVM2 001", 24, "latin1");
  label.write("ScenarioScenarioScenarioScenario", 32, "latin1");
  // LVM's checksum is CRC-32 with an initial value of its own and without the final inversion.
  label.writeUInt32LE((crc32(label.subarray(20), (0xf597a6cf ^ 0xffffffff) >>> 0) ^ 0xffffffff) >>> 0, 16);
  return image;
}

let world: World;
let untouched: ReadonlyMap<number, string>;
const n1 = () => world.lab.guest("n1");

/** Every written byte of a drive of n1, as one sum; made outside of the guest. */
function sumOf(lab: Lab, index: number): string {
  const folder = labPaths(lab.id).drives;
  const command = `tar --sparse --hole-detection=seek --mtime=@0 -cf - -C "$1" "$2" | sha256sum`;
  return execFileSync("sh", ["-euc", command, "sh", folder, join(`n1-${index}.drive`)], { encoding: "utf8", maxBuffer: MiB });
}

const device = async (index: number) => (await world.devices()).find((d) => d.status?.serial === serial(index));
const untilHealth = (index: number, health: RegExp) =>
  eventually(`msnd ${object(index)} says ${health.source}`, 60, async () => {
    const says = (await device(index))?.status?.health;
    if (says === undefined) return "no msnd yet";
    return health.test(says) || says;
  });
async function setUse(index: number, use: string): Promise<void> {
  await untilHealth(index, /./);
  await world.kubectl("patch", "msnd", object(index), "--type=merge", "-p", JSON.stringify({ spec: { use } }));
}

before(async () => {
  const refusing: DriveSpec[] = [{ size: 1024 * MiB, prefill: 0xa5, writeZeroes: false }];
  const artefacts = process.env["MESHSTOR_ARTEFACTS"];
  const nodes = [{ name: "n1", drives: KINDS.map((k) => k.drive) }, ...["n2", "n3"].map((name) => ({ name, drives: refusing }))];
  const lab = await Lab.create({ nodes, ...(artefacts ? { logDir: artefacts } : {}) });
  await lab.guest("n1").writeFile("/run/pv", physicalVolume());
  for (const [index, { prepare }] of KINDS.entries()) {
    if (prepare === undefined) continue;
    const find = `d=/dev/$(basename $(dirname $(grep -lx 'LAB-N1-${index} *' /sys/block/nvme*n1/device/serial) | xargs dirname))`;
    await lab.guest("n1").sh(`${find}\n${prepare}\nsync`);
  }
  untouched = new Map(UNUSED.map((index) => [index, sumOf(lab, index)]));
  world = await World.install(lab, {});
});
after(() => world?.down());

test("msnd says of every drive whether it is used, and why not", async () => {
  await setUse(EXCLUDED, "Exclude");
  await setUse(GIVEN, "Initialize");
  for (const [index, { health }] of KINDS.entries()) await untilHealth(index, health);
  const foreign = (await device(FOREIGN))!.status!;
  assert.deepEqual([foreign.unknownPartitions, foreign.localPartitions, foreign.remotePartitions], [2, 0, 0]);
  for (const index of UNUSED) {
    const { freeBytes, biggestHoleBytes, holes } = (await device(index))!.status!;
    assert.deepEqual([freeBytes, biggestHoleBytes, holes], [0, 0, []], `nothing of drive ${index} is offered`);
  }
  assert.match(await n1().sh(`sfdisk -d /dev/${(await device(GIVEN))!.status!.device}`), /^label: gpt$/m, "the drive that was given by name got its GPT");
  const rows = (await world.kubectl("get", "msnd")).split("\n");
  assert.match(rows[0]!, /^NAME +NODE +MODEL +SERIAL +SIZE +FREE +BIGGESTHOLE +SECTORSIZE +LOCAL +REMOTE +UNKNOWN +HEALTH$/);
  assert.equal(rows.filter((r) => r.startsWith("n1.")).length, KINDS.length);
});

test("placement uses the usable drives until they are full, and no other", async () => {
  const foreign = (await device(FOREIGN))!.status!.device;
  const sums = () => n1().sh(`sha256sum /dev/${foreign}p1 /dev/${foreign}p2; sfdisk -d /dev/${foreign} | grep -E 'p[12] :'`);
  const [others, ids] = [await sums(), [] as string[]];
  for (;;) {
    try {
      ids.push(await createVolume(world, `pvc-fill-${ids.length}`, { parameters: { numberOfCopies: "1" }, preferred: ["n1"] }));
    } catch (error) {
      assert.ok(error instanceof CsiError && error.code === "RESOURCE_EXHAUSTED", String(error));
      break;
    }
    assert.ok(ids.length < 20);
  }
  const volumes = await Promise.all(ids.map((id) => world.volume(id)));
  const used = volumes.flatMap((v) => v!.status!.partitions!).filter((p) => p.nodeID === "n1");
  const usable = KINDS.flatMap((_, index) => (UNUSED.includes(index) ? [] : [`${serial(index)}:1`]));
  assert.deepEqual([...new Set(used.map((p) => p.drive))].sort(), usable.sort(), "every usable drive is full, no other is used");
  for (const p of used) assert.ok(await isZero(n1(), await partitionDevice(n1(), p.partitionUUID)));
  // Taken away from us while it holds a copy: that copy goes on, and is wiped and freed when it is deleted.
  await setUse(GIVEN, "Exclude");
  await untilHealth(GIVEN, /^Excluded by spec\.use$/);
  await Promise.all(ids.map((id) => deleteVolume(world, id)));
  assert.deepEqual(await traces(n1()), []);
  assert.equal(await sums(), others, "the partitions of others are untouched");
  for (const index of UNUSED) assert.equal(sumOf(world.lab, index), untouched.get(index), `not one byte of the drive with ${KINDS[index]!.name} has changed`);
});

test("a drive that got a filesystem meanwhile is not initialized, and stops nothing else", async () => {
  const name = (await device(BLANK))!.status!.device;
  await n1().sh(`mkfs.xfs -q /dev/${name}; sync`);
  const sum = sumOf(world.lab, BLANK);
  await setUse(BLANK, "Initialize");
  await setUse(EXCLUDED, "Auto");
  await untilHealth(EXCLUDED, /^Usable$/);
  await untilHealth(BLANK, /^Whole drive carries xfs$/);
  assert.equal(sumOf(world.lab, BLANK), sum, "not one byte of it has changed");
});

test("drives without Write Zeroes: zeroed for real, members identical, wiped for real", async () => {
  const id = await createVolume(world, "pvc-real-zeroes", { preferred: ["n2", "n3"], seconds: 180 });
  const { partitions } = (await world.volume(id))!.status!;
  assert.deepEqual(partitions!.map((p) => p.nodeID).sort(), ["n2", "n3"]);
  for (const p of partitions!) {
    const guest = world.lab.guest(p.nodeID);
    assert.equal(await guest.sh("cat /sys/block/nvme[0-9]n1/queue/write_zeroes_max_bytes"), "0", "the drive refuses Write Zeroes");
    assert.ok(await isZero(guest, await partitionDevice(guest, p.partitionUUID)), "it reads as zero everywhere");
    // The space beside it, which nobody asked for, is as it was.
    assert.equal(await guest.sh(`dd if=$(ls /dev/nvme*n1) bs=1M skip=1000 count=1 iflag=direct status=none | tr -d '\\245' | wc -c`), "0");
  }
  assert.deepEqual(
    (await world.devices()).filter((d) => d.status!.nodeName !== "n1").map((d) => d.status!.writeZeroes),
    [false, false],
  );
  const home = partitions![0]!.nodeID;
  const path = await world.node(home).mount(id);
  const [array] = await arrays(world.lab.guest(home));
  assert.deepEqual([array!.degraded, array!.syncAction], [0, "idle"], "identical from the beginning: no resync");
  await world.lab.guest(home).sh(`dd if=/dev/urandom of=${path}/data bs=1M count=20 conv=fsync status=none`);
  await seeds(id, home);
  await world.node(home).unmount(id);
  const sums = await Promise.all(recorded((await world.volume(id))!).map((p) => dataChecksum(world.lab.guest(p.nodeID), p)));
  assert.deepEqual([sums.length, new Set(sums).size], [2, 1]);
  await deleteVolume(world, id);
  for (const p of partitions!) assert.ok(await isZero(world.lab.guest(p.nodeID), "$(ls /dev/nvme*n1)", 1, 500), "its data is gone from the drive");
});

/** The commands of the seeds, and their output. */
async function seeds(id: string, home: string): Promise<void> {
  const get = async (...args: string[]) => (await world.kubectl("get", "msvol", id, ...args)).split("\n").map((line) => line.trimEnd().replace(/ {2,}/g, "  "));
  const [header, row] = await get();
  assert.match(header!, /^NAME +PHASE +MDSTATE +SYNC +READY +DEGRADED +NODE +AGE$/);
  assert.match(row!, new RegExp(`^${id} +Synced +active +2/2 +0 +${home} +\\d+[sm]`));
  const [wideHeader, wide] = await get("-o", "wide");
  assert.match(wideHeader!, /^NAME +PHASE +MDSTATE +TOTAL +ACTIVE +FAILED +DOWN +SYNC +AGE +READY +DEGRADED +NODE +AGE$/);
  assert.match(wide!, new RegExp(`^${id} +Synced +active +2 +2 +0 +0 +\\d+[sm]\\S* +2/2 +0 +${home} `));
  assert.deepEqual(await get("-o", "jsonpath={.spec.memberMissingTimeout}"), ["900"]);
  const states = await world.kubectl("get", "msvol", id, "-o", 'jsonpath={range .status.partitions[*]}{.nodeID}{"\\t"}{.state}{"\\n"}{end}');
  assert.deepEqual(states.trimEnd().split("\n").sort(), ["n2\tSynced", "n3\tSynced"]);
  const yaml = await world.kubectl("get", "msvol", id, "-o", "yaml");
  assert.match(yaml, /updatedAt: "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"/, "when a partition was marked can be read");
}
