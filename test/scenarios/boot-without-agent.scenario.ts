/**
 * A host with stock initramfs-tools, mdadm and a persistent root boots without our agent: nothing of ours is assembled.
 *
 * Members of MeshStor volumes are made in windows of our partitions, and power is cut while their arrays are active. The same
 * arrays are made once more where Debian's rules can see them: at the beginning of partitions of another drive. Then a stock
 * Debian host boots with all these drives. It must start what it can see, so that it is a real adversary, and
 * must neither assemble nor hold nor change what is ours, at boot and when asked to in every way an administrator has.
 * Last, a window is opened by hand, and the same host takes the same member at once.
 * @minutes 10
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Lab } from "../../lab/cluster.ts";
import type { Drive } from "../../lab/guest/drives.ts";
import type { Guest } from "../../lab/guest/guest.ts";
import { readRecord } from "../../lab/state.ts";
import { run } from "../../tools/setup/run.ts";
import { checksum, devicesOf, keepActive, makeMembers, type Member, openWindow, readSuperblock } from "./boot-without-agent-members.ts";

const SIZE = 128 * 1_048_576;
/** Ours with both sector sizes, and the adversary's. */
const DRIVES = [{ size: SIZE }, { size: SIZE, sectorSize: 4096 as const }, { size: SIZE }];
const HIDDEN = [true, true, false];

let lab: Lab;
let host: Guest;
let drives: readonly Drive[];
let ours: Member[];
let visible: Member[];
let devices: Map<Member, string>;
let checksumsBefore: string[];
let eventsBefore: Map<Member, bigint>;

before(async () => {
  const artefacts = process.env["MESHSTOR_ARTEFACTS"];
  lab = await Lab.create({
    kernel: "6.12",
    nodes: [
      { name: "maker", drives: DRIVES },
      { name: "host", kind: "emulated", root: "debian-host", memoryMiB: 1024, drives: DRIVES },
    ],
    off: ["host"],
    ...(artefacts === undefined ? {} : { logDir: join(artefacts, "lab") }),
  });
  host = lab.guest("host");
  const maker = lab.guest("maker");
  const members = await makeMembers(maker, HIDDEN);
  await keepActive(maker);
  await maker.powerOff();
  drives = drivesOf("host");
  for (const [index, { path }] of drivesOf("maker").entries()) await run(["cp", "--sparse=always", path, drives[index]!.path]);
  ours = members.filter(({ hidden }) => hidden);
  visible = members.filter(({ hidden }) => !hidden);
  checksumsBefore = await Promise.all(drives.map(checksum));
  eventsBefore = new Map(members.map((member) => [member, readSuperblock(drives[member.drive]!, member).events]));
});

after(async () => lab?.destroy());

const deviceOf = (member: Member): string => devices.get(member)!;

function drivesOf(name: string): readonly Drive[] {
  return readRecord(lab.id)?.nodes.find((node) => node.name === name)?.drives ?? [];
}

/** UUIDs of all arrays the host's kernel knows, with their state and members. Who opens the node of a stopped array makes an empty one: "clear". */
async function arraysOf(guest: Guest): Promise<Map<string, string>> {
  const lines = await guest.sh(`for array in /sys/block/md*; do
state=$(cat "$array/md/array_state" 2>/dev/null) && [ "$state" != clear ] || continue
echo "$(mdadm --detail --export "/dev/\${array##*/}" | sed -n 's/^MD_UUID=//p') $state:$(echo $(ls "$array/slaves"))"
done`);
  const rows = lines.split("\n").filter((line) => line !== "");
  return new Map(rows.map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]));
}

async function assertOursUntouched(when: string): Promise<void> {
  const arrays = await arraysOf(host);
  for (const member of ours) {
    const device = deviceOf(member);
    const { arrayUuid } = member;
    assert.ok(!arrays.has(arrayUuid), `${when}: no array of ours is assembled, but ${arrayUuid} is (${device})`);
    const held = await host.sh(`ls /sys/class/block/${device.slice(5)}/holders`);
    assert.equal(held, "", `${when}: nothing holds ${device}`);
  }
  const open = `for (const device of process.argv.slice(1)) fs.closeSync(fs.openSync(device, fs.constants.O_RDONLY | fs.constants.O_EXCL))`;
  const opened = await host.exec(["node", "-e", open, ...ours.map(deviceOf)], { okCodes: "any" });
  assert.equal(opened.code, 0, `${when}: ours are free for exclusive use: ${opened.stderr}`);
}

/** An array that runs with a device of this name, as arraysOf shows it. */
const running = (below: string): RegExp => new RegExp(`^(clean|active|active-idle|read-auto|write-pending):${below}`);
const RUNNING = running("nvme");

/** The one-copy array runs; the half is assembled and held, and runs where Debian's timer of last resort gets to it. */
async function untilVisibleAreAssembled(): Promise<string> {
  const deadline = Date.now() + 300_000;
  for (;;) {
    const arrays = await arraysOf(host);
    const states = visible.map(({ arrayUuid }) => arrays.get(arrayUuid) ?? "absent");
    if (visible.every(({ half }, at) => (half ? /:nvme/ : RUNNING).test(states[at]!))) return states.join(", ");
    assert.ok(Date.now() < deadline, `the host assembles what it can see; it has ${JSON.stringify([...arrays])}`);
    await sleep(2000);
  }
}

/** Stops all arrays; one that udev is looking at is busy for a moment. */
async function stopArrays(): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const said = await host.sh("mdadm --stop --scan 2>&1 || :; udevadm settle");
    const left = [...(await arraysOf(host))];
    if (left.length === 0) return;
    assert.ok(Date.now() < deadline, `all arrays are stopped; left is ${JSON.stringify(left)}: ${said}`);
    await sleep(500);
  }
}

test("the members are real and were active when power was cut", () => {
  assert.equal(ours.length, 4);
  for (const member of [...ours, ...visible]) {
    const { arrayUuid, wasActive, events } = readSuperblock(drives[member.drive]!, member);
    assert.equal(arrayUuid, member.arrayUuid);
    assert.ok(wasActive, `array ${arrayUuid} was active`);
    assert.ok(events > 0n);
  }
});

test("the host boots and starts every array it can see", async (t) => {
  const started = Date.now();
  await host.powerOn();
  t.diagnostic(`host up in ${Math.round((Date.now() - started) / 1000)} s`);
  devices = await devicesOf(host, drives, [...ours, ...visible]);
  const log = await host.sh("dmesg");
  const [assembled, rootMounted] = [log.indexOf("md/raid1:md"), log.indexOf("EXT4-fs (vda): mounted")];
  assert.ok(assembled > 0 && assembled < rootMounted, "mdadm in the host's own initramfs started an array before the root was mounted");
  t.diagnostic(`arrays it can see: ${await untilVisibleAreAssembled()}`);
});

test("nothing of ours is assembled or held after boot", async () => {
  await assertOursUntouched("after boot");
  assert.equal((await arraysOf(host)).size, visible.length, "the host has the visible arrays and no other");
  for (const device of ours.map(deviceOf)) {
    const known = await host.sh(`udevadm info --query=property ${device}`);
    assert.match(known, /ID_PART_ENTRY_TYPE=6d657368-5374-4f72-a1b2-564f4c554d45/, `udev has looked at ${device}`);
    assert.doesNotMatch(known, /ID_FS_TYPE|linux_raid_member/, `udev sees no content in ${device}`);
  }
  for (const device of visible.map(deviceOf)) {
    assert.match(await host.sh(`udevadm info --query=property ${device}`), /ID_FS_TYPE=linux_raid_member/, `udev sees MD in ${device}`);
  }
});

test("mdadm finds nothing of ours when asked to", async () => {
  for (const device of ours.map(deviceOf)) {
    const examined = await host.exec(["mdadm", "--examine", device], { okCodes: "any" });
    assert.match(examined.stderr, /No md superblock detected/);
    const added = await host.exec(["mdadm", "-I", device], { okCodes: "any" });
    assert.notEqual(added.code, 0, `mdadm -I ${device} refuses: ${added.stdout}${added.stderr}`);
  }
  const named = [...ours, ...visible].map(({ arrayUuid }) => `ARRAY UUID=${arrayUuid}`).join("\n");
  const attempts = [
    ["mdadm --assemble --scan", "mdadm --assemble --scan"],
    ["... with all arrays named in mdadm.conf", `printf '%s\\n' "${named}" >/etc/mdadm/mdadm.conf; mdadm --assemble --scan`],
    ["... of all partitions", "mdadm --assemble --scan --config=partitions"],
    ["udev, for every block device anew", "udevadm trigger --action=add --subsystem-match=block; udevadm settle"],
  ] as const;
  for (const [what, script] of attempts) {
    await stopArrays();
    await host.exec(["sh", "-c", script], { okCodes: "any" });
    await assertOursUntouched(what);
    const arrays = await arraysOf(host);
    for (const { arrayUuid, half } of visible) {
      const found = arrays.get(arrayUuid) ?? "absent";
      assert.match(found, half && what.startsWith("udev") ? /:nvme/ : RUNNING, `${what}: finds what it can see`);
    }
  }
});

test("nobody wrote a byte to our drives, and to the visible one they did", async () => {
  await stopArrays();
  await host.sh("mdadm --assemble --scan || :; udevadm settle");
  for (const { arrayUuid } of visible) {
    await host.sh(`dd if=/dev/zero of=/dev/disk/by-id/md-uuid-${arrayUuid} bs=4096 count=1 oflag=direct status=none`);
  }
  await stopArrays();
  await host.sh("sync");
  const checksums = await Promise.all(drives.map(checksum));
  for (const [index, hidden] of HIDDEN.entries()) {
    if (hidden) assert.equal(checksums[index], checksumsBefore[index], `drive ${index} is what it was`);
    else assert.notEqual(checksums[index], checksumsBefore[index], "a host that uses an array changes its member, and we see that");
  }
  for (const member of [...ours, ...visible]) {
    const events = readSuperblock(drives[member.drive]!, member).events;
    if (member.hidden) assert.equal(events, eventsBefore.get(member), "MD counted nothing in ours");
    else assert.ok(events > eventsBefore.get(member)!, "MD counts in what it uses");
  }
});

test("through a window the same host assembles the same member, by udev alone", async () => {
  for (const [index, member] of ours.entries()) {
    const { arrayUuid, half } = member;
    const device = deviceOf(member);
    await openWindow(host, `window-${index}`, device);
    const found = (await arraysOf(host)).get(arrayUuid) ?? "absent";
    assert.match(found, half ? /:dm-/ : running("dm-"), `${half ? "half" : "one copy"} in ${device}`);
  }
});
