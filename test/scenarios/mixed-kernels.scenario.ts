/**
 * A volume made on Linux 7.2 goes to a node with 6.12 and back, and loses and regains members on both.
 *
 * Kernels from 6.19 on write the logical block size into the superblock of a new array, with its first write, and older
 * ones refuse such an array (E24). First that is shown with an array of mdadm's own; then ours must never carry that field, whichever kernel
 * made, ran, healed or widened the mirror.
 * @minutes 15 @byname (needs a second kernel, which takes many minutes to build)
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import type { MeshStorVolume, PartitionRecord } from "../../src/api/volume.ts";
import { LABEL_AREA } from "../../src/base/layout.ts";
import { parseSuperblock, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, type Superblock, withoutLogicalBlockSize } from "../../src/host/md/superblock.ts";
import { arrays, dataChecksum, partitionDevice, recorded } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { World } from "../../lab/world/world.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";

const KERNELS = { n1: "7.2", n2: "6.12", n3: "7.2" } as const;
type Node = keyof typeof KERNELS;

let world: World;
let id: string;
let records = 0;

before(async () => {
  const drives = [{ size: 2 * 1024 ** 3 }];
  world = await World.up({ nodes: Object.entries(KERNELS).map(([name, kernel]) => ({ name, kernel, drives })) });
});
after(() => world?.down());

const guest = (name: string) => world.lab.guest(name);

function parse(block: Buffer): Superblock {
  const reading = parseSuperblock(block);
  assert.ok(reading.ok, reading.ok ? "" : reading.reason);
  return reading.superblock;
}

/** A member's superblock, read from its own drive. */
async function superblockOf(member: PartitionRecord): Promise<Superblock> {
  const device = await partitionDevice(guest(member.nodeID), member.partitionUUID);
  const skip = (LABEL_AREA + SUPERBLOCK_OFFSET) / SUPERBLOCK_BYTES;
  const text = await guest(member.nodeID).sh(`dd if=${device} bs=${SUPERBLOCK_BYTES} skip=${skip} count=1 iflag=direct status=none | base64 -w0`);
  return parse(Buffer.from(text, "base64"));
}

/** What an old kernel would trip over, of every member in sync. */
async function assertPlain(volume: MeshStorVolume, when: string): Promise<void> {
  const members = recorded(volume);
  assert.equal(members.length, 2);
  for (const member of members) {
    const { logicalBlockSize, events } = await superblockOf(member);
    assert.equal(logicalBlockSize, 0, `${when}: the superblock on ${member.nodeID} names no logical block size`);
    assert.ok(events > 0n, "a kernel has written it");
  }
}

/** Puts an array's only member into a loop device of a guest; returns what the kernel makes of it. */
async function assembleImage(name: Node, image: Buffer, arrayUUID: string): Promise<string> {
  await guest(name).writeFile("/tmp/image.gz", gzipSync(image));
  return guest(name).sh(`gunzip -f /tmp/image.gz
loop=$(losetup --find --show /tmp/image); udevadm settle
mdadm --assemble --run /dev/md/image "$loop" >&2 || :
udevadm settle
for array in /sys/block/md*; do [ "$(cat "$array/md/uuid")" != ${arrayUUID} ] || cat "$array/md/array_state"; done
mdadm --stop --scan >&2 || :
losetup --detach "$loop"; rm /tmp/image`);
}

test("an array that mdadm makes on 7.2 is refused by 6.12, because of its logical block size and nothing else", async () => {
  for (const [name, kernel] of Object.entries(KERNELS)) assert.ok((await guest(name).sh("uname -r")).startsWith(`${kernel}.`), `${name} runs ${kernel}`);
  await guest("n1").sh(`truncate -s 32M /tmp/image; loop=$(losetup --find --show /tmp/image)
mdadm --quiet --create /dev/md/image --run --metadata=1.2 --level=1 --raid-devices=2 --assume-clean --bitmap=internal "$loop" missing >&2
dd if=/dev/zero of=/dev/md/image bs=4096 count=1 oflag=direct status=none
mdadm --stop /dev/md/image >&2; losetup --detach "$loop"; gzip -f /tmp/image`);
  const made = gunzipSync(await guest("n1").readFile("/tmp/image.gz"));
  const block = made.subarray(SUPERBLOCK_OFFSET, SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES);
  const { logicalBlockSize, arrayUUID } = parse(block);
  assert.equal(logicalBlockSize, 512);
  assert.equal(await assembleImage("n2", made, arrayUUID), "", "6.12 has no such array");
  const plain = Buffer.from(made);
  plain.set(withoutLogicalBlockSize(block), SUPERBLOCK_OFFSET);
  assert.notEqual(await assembleImage("n2", plain, arrayUUID), "", "without that field 6.12 has it");
});

/** The other copy's node loses power under load and comes back. */
async function loseAndRegain(node: string, file: string): Promise<void> {
  const other = recorded((await world.volume(id))!).find((member) => member.nodeID !== node)!.nodeID;
  const writer = await Writer.start(world.lab, guest(node), file, { intervalMs: 20 });
  await writer.progress(40, 60);
  await world.powerOff(other);
  await world.untilVolume(id, "is degraded", 60, (v) => v.status?.mdState === "degraded" || `${v.status?.mdState}`);
  await writer.progress(40, 60);
  await world.powerOn(other);
  await untilHealthy(world, id, 120);
  await writer.stop();
  assert.deepEqual(writer.errors(), [], "the application met no error");
  records += writer.acks().length;
}

/** Two copies in sync, one of them here, and no third one any more. */
function untilSettled(node: string): Promise<MeshStorVolume> {
  return world.untilVolume(id, `is settled on ${node}`, 120, (v) => {
    const { partitions = [], phase, mdState } = v.status!;
    const settled = partitions.length === 2 && partitions.every((p) => p.state === "Synced") && partitions.some((p) => p.nodeID === node);
    return (settled && phase === "Synced" && mdState === "active") || `${phase} ${mdState}: ${partitions.map((p) => `${p.nodeID} ${p.state}`).join(", ")}`;
  });
}

test("a volume is made for n1 and n2", async () => {
  id = await createVolume(world, "pvc-mixed", { preferred: ["n1", "n2"] });
});

for (const [node, story] of [
  ["n1", "made there"],
  ["n2", "that kernel assembles it from the members as they are"],
  ["n3", "it is widened by a third member there, and one of the others goes"],
  ["n2", "that kernel assembles it again"],
] as const) {
  test(`${node} with ${KERNELS[node]}: ${story}; a member is lost and regained`, async () => {
    const file = `${await world.node(node).mount(id)}/records`;
    const [array] = await arrays(guest(node));
    assert.match(array!.device, /^md_ms/, "the array has the name that the udev rule knows");
    assert.equal(array!.members.filter((m) => m.flags.includes("in_sync")).length, 2, "both members start in sync");
    await assertPlain((await world.volume(id))!, "at the start");
    if (records > 0) await checkRecords(world.lab, guest(node), file, records);
    await untilSettled(node);
    await loseAndRegain(node, file);
    await checkRecords(world.lab, guest(node), file, records);
    await world.node(node).unmount(id);
    const stopped = (await world.volume(id))!;
    assert.equal(stopped.status!.lastStop, "Clean");
    await assertPlain(stopped, "after the stop");
    const sums = await Promise.all(recorded(stopped).map((p) => dataChecksum(guest(p.nodeID), p)));
    assert.equal(new Set(sums).size, 1, "members are identical");
  });
}

test("it is deleted", () => deleteVolume(world, id));
