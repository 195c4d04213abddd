/**
 * Every action of the host layer on a real kernel: two guests, one provides and one owns; each step is
 * carried out by the adapters in the guest and judged by what the kernel shows afterwards.
 * @minutes 12
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { hostNQN, PARTITION_TYPE, partitionLabel, volumeDeviceName } from "../../src/api/names.ts";
import { LABEL_AREA } from "../../src/base/layout.ts";
import { MiB } from "../../src/base/units.ts";
import type { HostAction } from "../../src/core/action.ts";
import type { HostSnapshot } from "../../src/core/observed.ts";
import type { Lab } from "../../lab/cluster.ts";
import { inOrder } from "../in-order.ts";
import { createHostLab, type HostNode } from "./lab-node.ts";
import { ARRAY, connectAction, exportAction, FS_UUID, LOCAL, nqn, PART, REMOTE, SIZE, VOLUME_UID } from "./pair.ts";

const THIRD = "44444444-aaaa-4bbb-8ccc-000000000004";
const WINDOW = PART - LABEL_AREA;
const DEVICE = volumeDeviceName("vol");
const STAGE = "/var/lib/kubelet/stage/vol";

let lab: Lab;
let n1: HostNode;
let n2: HostNode;

/** The steps build on each other. */
const test = inOrder();

before(async () => {
  ({ lab, n1, n2 } = await createHostLab());
});
after(async () => lab.destroy());

const drive = (s: HostSnapshot, index = 0) => s.drives.toSorted((a, b) => a.device.localeCompare(b.device))[index]!;

async function makePartition(node: HostNode, uuid: string, index = 0, startBytes = 16 * MiB): Promise<void> {
  const id = drive(await node.observe(), index).id;
  await node.apply({ kind: "CreatePartition", partitionUUID: uuid, drive: id, startBytes, sizeBytes: PART, label: partitionLabel(VOLUME_UID, 0) });
}
test("the hosts are fit, and udev follows our rule", async () => {
  assert.deepEqual([(await n1.call({ check: true })).check, (await n2.call({ check: true })).check], [null, null]);
});

test("drives and their tables are seen", async () => {
  const { snapshot, tables } = await n1.call({ tables: true });
  const seen = snapshot.drives.map((d) => [d.sectorSize, d.writeZeroes, d.readOnly, d.sizeBytes > 0, d.serial !== ""]).toSorted();
  assert.deepEqual(
    seen,
    [
      [4096, false, false, true, true],
      [512, true, false, true, true],
    ].toSorted(),
  );
  assert.deepEqual(
    tables.map((t) => [t.label, t.entries, t.signature, t.usedBy]),
    tables.map(() => ["gpt", [], null, null]),
  );
});

test("partitions are made, also twice, and refused on overlap", async () => {
  for (const [node, uuid] of [
    [n1, LOCAL],
    [n2, REMOTE],
  ] as const) {
    await makePartition(node, uuid);
    await makePartition(node, uuid);
    const p = await node.partition(uuid);
    assert.deepEqual(
      { ...p, drive: "", device: p.device.replace(/\d+n/, "Xn") },
      { uuid, drive: "", device: "nvmeXn1p1", number: 1, startBytes: 16 * MiB, sizeBytes: PART, holders: [] },
    );
  }
  const d = drive(await n1.observe());
  const overlap: HostAction = { kind: "CreatePartition", partitionUUID: REMOTE, drive: d.id, startBytes: 17 * MiB, sizeBytes: PART, label: "x" };
  assert.equal((await n1.refused(overlap)).code, "ForeignContent");
  const table = (await n1.call({ tables: true })).tables.find((t) => t.drive === d.id)!;
  assert.deepEqual(table.entries, [{ number: 1, startBytes: 16 * MiB, sizeBytes: PART, uuid: LOCAL, type: PARTITION_TYPE, name: partitionLabel(VOLUME_UID, 0) }]);
});

test("partitions are zeroed and proven zero", async () => {
  for (const [node, uuid] of [
    [n1, LOCAL],
    [n2, REMOTE],
  ] as const) {
    const { device } = await node.partition(uuid);
    await node.guest.sh(`dd if=/dev/urandom of=/dev/${device} bs=1M count=20 oflag=direct status=none`);
    await node.apply({ kind: "ZeroPartition", partitionUUID: uuid, device });
    assert.equal(await node.guest.sh(`head -c 20M /dev/${device} | tr -d '\\0' | wc -c`), "0");
  }
});

test("an export is made, also twice, and seen", async () => {
  const { device } = await n2.partition(REMOTE);
  await n2.apply(exportAction(n1, n2, device, 1), exportAction(n1, n2, device, 1));
  const { exports } = await n2.observe();
  assert.deepEqual(exports, [
    { nqn: nqn(1), partitionUUID: REMOTE, epoch: 1, attach: 1, devicePath: `/dev/${device}`, enabled: true, allowedHosts: [hostNQN(n1.uid)], ports: ["20250"] },
  ]);
});

test("an exported partition is not zeroed, opened or deleted (Z13)", async () => {
  const p = await n2.partition(REMOTE);
  assert.equal((await n2.refused({ kind: "WipePartition", partitionUUID: REMOTE, device: p.device })).code, "Unsafe");
  assert.equal((await n2.refused({ kind: "OpenWindow", partitionUUID: REMOTE, epoch: 1, below: p.device, sizeBytes: WINDOW })).code, "Unsafe");
  assert.equal((await n2.refused({ kind: "DeletePartition", partitionUUID: REMOTE, drive: p.drive, number: p.number, device: p.device })).code, "Unsafe");
});

test("the owner connects, also twice, and nobody else can", async () => {
  await n1.apply(connectAction(n2, 1));
  await n1.apply(connectAction(n2, 1));
  const { connections, drives } = await n1.observe();
  const [c] = connections;
  assert.deepEqual(
    { ...c, controller: "", device: c?.device === null },
    { controller: "", nqn: nqn(1), partitionUUID: REMOTE, epoch: 1, attach: 1, state: "live", device: false, sizeBytes: PART },
  );
  assert.equal(drives.length, 2, "an import is no drive");
  assert.equal(
    await n1.guest
      .sh(
        `for f in /sys/block/nvme*/queue/io_timeout; do case $f in *c*n*) cat $f;; esac; done; [ -e /sys/block/${c!.device}/queue/io_timeout ] && cat /sys/block/${c!.device}/queue/io_timeout || true`,
      )
      .then((t) => t.includes("10000")),
    true,
  );
  assert.match(await n1.guest.sh(`cat /sys/class/nvme/${c!.controller}/reconnect_delay /sys/class/nvme/${c!.controller}/ctrl_loss_tmo`), /^2147000\noff$/);
  const stranger = await n2.guest.exec(["nvme", "connect", "-t", "tcp", "-a", n2.address, "-s", "4420", "-n", nqn(1)], { okCodes: "any" });
  assert.notEqual(stranger.code, 0);
});

test("labels are stamped, read back, and never go back", async () => {
  const s = await n1.observe();
  const devices = [
    { partitionUUID: LOCAL, mirror: 0, device: local(s).device, generation: 3 },
    { partitionUUID: REMOTE, mirror: 0, device: s.connections[0]!.device!, generation: 3 },
  ];
  const stamp = (epoch: number, atStart: boolean, generation: number): HostAction => ({
    kind: "StampLabel",
    volumeUID: VOLUME_UID,
    epoch,
    atStart,
    devices: devices.map((d) => ({ ...d, generation })),
  });
  await n1.apply(stamp(1, true, 3), stamp(1, false, 4));
  const label = (member: string) => ({ kind: "label", label: { v: 1, volume: VOLUME_UID, member, mirror: 0, epoch: 1, generation: 4 } });
  assert.deepEqual((await n1.call({ labels: devices.map((d) => d.device) })).labels, [label(LOCAL), label(REMOTE)]);
  assert.equal((await n1.refused(stamp(1, true, 5))).code, "RecordOlderThanLabel");
  assert.equal((await n1.refused(stamp(1, false, 3))).code, "RecordOlderThanLabel");
  assert.equal((await n1.refused({ ...stamp(2, true, 9), volumeUID: FS_UUID } as HostAction)).code, "ForeignContent");
});

async function openBoth(epoch = 1): Promise<void> {
  const s = await n1.observe();
  const first: HostAction = { kind: "OpenWindow", partitionUUID: LOCAL, epoch, below: local(s).device, sizeBytes: WINDOW };
  const remote: HostAction = { kind: "OpenWindow", partitionUUID: REMOTE, epoch, below: s.connections[0]!.device!, sizeBytes: WINDOW };
  await n1.apply(first, remote, first);
}
const members = [
  { partitionUUID: REMOTE, local: false },
  { partitionUUID: LOCAL, local: true },
];
const local = (s: HostSnapshot) => s.partitions.find((p) => p.uuid === LOCAL)!;
const window = (s: HostSnapshot, uuid: string): string => s.windows.find((w) => w.partitionUUID === uuid)!.device;

test("windows are opened under their epoch", async () => {
  await openBoth();
  const s = await n1.observe();
  assert.deepEqual(s.windows.map((w) => [w.partitionUUID, w.epoch, w.below, w.sizeBytes, w.suspended]).toSorted(), [
    [LOCAL, 1, local(s).device, WINDOW, false],
    [REMOTE, 1, s.connections[0]!.device, WINDOW, false],
  ]);
  assert.deepEqual(local(s).holders, [window(s, LOCAL)]);
  const other: HostAction = { kind: "OpenWindow", partitionUUID: LOCAL, epoch: 2, below: local(s).device, sizeBytes: WINDOW };
  assert.equal((await n1.refused(other)).code, "Unsafe");
});

test("a mirror is created, also twice; it needs no old superblock field and no bad-block log", async () => {
  const create: HostAction = {
    kind: "CreateMirror",
    mirror: 0,
    arrayUUID: ARRAY,
    name: `${VOLUME_UID.slice(0, 18)}-m0`,
    slots: 2,
    members,
    sizeBytes: SIZE,
    bitmapChunkBytes: 4 * MiB,
  };
  await n1.apply(create, create);
  const s = await n1.observe();
  const m = s.mirrors[0]!;
  assert.deepEqual(
    { ...m, device: m.device, members: m.members.map((x) => [x.partitionUUID, x.flags.toSorted(), x.slot]) },
    {
      device: "md_msa1b2c3d4e5f647118899aabb",
      arrayUUID: ARRAY,
      arrayState: m.arrayState,
      raidDisks: 2,
      degraded: 0,
      syncAction: "idle",
      syncCompleted: null,
      syncSpeedKiB: 0,
      hasBitmap: true,
      sizeBytes: SIZE,
      members: m.members.map((x) => (x.partitionUUID === LOCAL ? [LOCAL, ["in_sync"], 0] : [REMOTE, ["in_sync", "write_mostly"], 1])),
      holders: [],
    },
  );
  const { metadata } = await n1.call({ metadata: [window(s, LOCAL), window(s, REMOTE)] });
  assert.deepEqual(
    metadata.map((x) => [x.role, x.chunkBytes, x.logicalBlockSize, x.hasBadBlockLog]),
    [
      [0, 4 * MiB, 0, false],
      [1, 4 * MiB, 0, false],
    ],
  );
});

async function volumeUp(): Promise<void> {
  const mirror = (await n1.observe()).mirrors[0]!.device;
  const device: HostAction = { kind: "CreateVolumeDevice", volumeName: "vol", volumeUID: VOLUME_UID, mirrors: [mirror], sizeBytes: SIZE };
  await n1.apply(device, device);
}
async function mount(): Promise<void> {
  const action: HostAction = { kind: "MountStage", device: DEVICE, target: STAGE, fsType: "xfs", options: ["noatime"], readOnly: false };
  await n1.apply(action, action);
}

test("volume device, filesystem and mount", async () => {
  // A node of this name that an earlier device left behind, of another number by now.
  await n1.guest.sh(`mknod /dev/mapper/${DEVICE} b 253 99`);
  await volumeUp();
  const numbers = `stat -Lc %Hr:%Lr /dev/mapper/${DEVICE}; cat /sys/block/${(await n1.observe()).volumeDevices[0]!.device}/dev`;
  const [named, kernels] = (await n1.guest.sh(numbers)).split("\n");
  assert.equal(named, kernels);
  const make: HostAction = { kind: "MakeFilesystem", device: DEVICE, fsType: "xfs", uuid: FS_UUID, sectorSize: 512, stripes: 1 };
  await n1.apply(make, make);
  await mount();
  await n1.guest.sh(`echo first >${STAGE}/file; sync -f ${STAGE}/file`);
  assert.equal((await n1.refused({ ...make, uuid: LOCAL })).code, "ForeignContent");
  const s = await n1.observe();
  const v = s.volumeDevices[0]!;
  assert.deepEqual(
    { ...v, device: "" },
    { device: "", name: DEVICE, volumeUID: VOLUME_UID, sizeBytes: SIZE, below: [s.mirrors[0]!.device], suspended: false, suspending: false, failed: false, guarded: null },
  );
  assert.deepEqual(
    s.mounts.filter((m) => m.target === STAGE),
    [{ target: STAGE, device: v.device, fsType: "xfs", readOnly: false, root: "/", shutDown: false }],
  );
  const usage = (await n1.call({ usage: STAGE })).usage as { totalBytes: number };
  assert.ok(usage.totalBytes > 400 * MiB);
});

test("publish, read-only too, and unpublish", async () => {
  const target = "/var/lib/kubelet/pods/a/mount";
  const publish: HostAction = { kind: "MountPublish", source: STAGE, target, readOnly: true };
  await n1.apply(publish, publish);
  assert.equal((await n1.guest.exec(["touch", `${target}/x`], { okCodes: "any" })).code, 1);
  assert.equal((await n1.observe()).mounts.find((m) => m.target === target)?.readOnly, true);
  await n1.apply({ kind: "UnmountPublish", target }, { kind: "UnmountPublish", target });
  assert.equal(await n1.guest.sh(`[ -e ${target} ] && echo there || echo gone`), "gone");
});

test("a busy mount says who holds it", async () => {
  const sleeper = await n1.guest.spawn(["sh", "-c", `cd ${STAGE} && exec sleep 100`]);
  await n1.guest.sh("sleep 0.5");
  const refusal = await n1.refused({ kind: "UnmountStage", target: STAGE });
  sleeper.kill("SIGKILL");
  await sleeper.exited;
  assert.equal(refusal.code, "VolumeInUse");
  assert.match(refusal.message, /sleep \(\d+\)/);
});

// A loss, the return by bitmap, and a writer that goes on throughout.

const array = (s: HostSnapshot): string => s.mirrors[0]!.device;
const flagsOf = (s: HostSnapshot, uuid: string): string[] | undefined => s.mirrors[0]!.members.find((m) => m.partitionUUID === uuid)?.flags.toSorted();

async function waitSync(): Promise<HostSnapshot> {
  for (let i = 0; i < 100; i += 1) {
    const s = await n1.observe();
    if (s.mirrors[0]!.syncAction === "idle" && s.mirrors[0]!.members.every((m) => m.flags.includes("in_sync"))) return s;
    await new Promise((r) => setTimeout(r, 300));
  }
  throw new Error(`the mirror did not come in sync: ${JSON.stringify((await n1.observe()).mirrors)}`);
}

/**
 * Chunks of 4 MiB in which the two members differ, read past the page cache. The filesystem is not frozen: where it writes
 * just then they differ for a moment, so that only those count that differ each of ten times.
 */
const DIFFERING = `
import mmap, os, sys, time
size = 4 << 20
disks = [(os.open("/dev/" + name, os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, size)) for name in sys.argv[2:]]
def differs(chunk):
    for disk, buffer in disks: os.preadv(disk, [buffer], 7 * 1048576 + chunk * size)
    return disks[0][1][:] != disks[1][1][:]
left = list(range(int(sys.argv[1])))
for _ in range(10):
    left = [chunk for chunk in left if differs(chunk)]
    if left: time.sleep(0.3)
print(left)
`;

/** Both members hold the same data. */
async function sameContent(): Promise<void> {
  const s = await n1.observe();
  await n1.guest.sh(`sync -f ${STAGE}/file`);
  const { stdout } = await n1.guest.exec(["python3", "-c", DIFFERING, String(SIZE / (4 * MiB)), window(s, LOCAL), window(s, REMOTE)], { timeoutMs: 300_000 });
  assert.deepEqual(JSON.parse(stdout), [], "chunks in which the members differ");
}

test("a lost path holds the writes; fail, disconnect and remove let them go on (I1, Z1)", async () => {
  await waitSync();
  await lab.net.cut("n1", "n2");
  const writer = n1.guest.exec(["sh", "-c", `dd if=/dev/urandom of=${STAGE}/during bs=64k count=40 conv=fsync status=none && echo written`], { timeoutMs: 120_000 });
  let s = await n1.observe();
  for (let i = 0; i < 60 && s.connections[0]!.state === "live"; i += 1) s = await n1.observe();
  assert.equal(s.connections[0]!.state, "connecting");
  assert.ok((await lab.net.dropped()) > 0, "the cut engaged");
  const { controller } = s.connections[0]!;
  const leave = { device: array(s), partitionUUID: REMOTE, window: window(s, REMOTE) };
  await n1.apply({ kind: "FailMember", ...leave }, { kind: "FailMember", ...leave });
  await n1.apply({ kind: "Disconnect", controller, nqn: nqn(1) }, { kind: "Disconnect", controller, nqn: nqn(1) });
  await n1.apply({ kind: "RemoveMember", ...leave }, { kind: "RemoveMember", ...leave });
  assert.equal((await writer).stdout.trim(), "written");
  s = await n1.observe();
  assert.deepEqual([s.connections, s.mirrors[0]!.degraded, flagsOf(s, LOCAL), flagsOf(s, REMOTE)], [[], 1, ["in_sync"], undefined]);
  assert.equal(s.windows.find((w) => w.partitionUUID === REMOTE)?.below, null);
  await n1.apply({ kind: "CloseWindow", partitionUUID: REMOTE }, { kind: "CloseWindow", partitionUUID: REMOTE });
  const last = { device: array(s), partitionUUID: LOCAL, window: window(s, LOCAL) };
  assert.equal((await n1.refused({ kind: "FailMember", ...last })).code, "Unsafe");
  await lab.net.heal();
});

test("the export is cut with nothing left of it, and made anew under the next number (I2, Z11)", async () => {
  const done = await n2.apply({ kind: "CutExport", nqn: nqn(1) }, { kind: "CutExport", nqn: nqn(1) });
  assert.ok(done[0]!.ms < 10_000);
  assert.deepEqual((await n2.observe()).exports, []);
  assert.equal(
    await n2.guest.sh("ls /sys/kernel/config/nvmet/ports /sys/kernel/config/nvmet/hosts | grep -v : | grep -c . || true"),
    await n2.guest.sh("ls /sys/kernel/config/nvmet/ports | grep -c . || true"),
  );
  const { device } = await n2.partition(REMOTE);
  await n2.apply(exportAction(n1, n2, device, 2));
  await n1.apply(connectAction(n2, 2));
});

async function openRemote(): Promise<void> {
  const s = await n1.observe();
  await n1.apply({ kind: "OpenWindow", partitionUUID: REMOTE, epoch: 1, below: s.connections[0]!.device!, sizeBytes: WINDOW });
}

/** What a former owner wrote alone: a block of data, and its own bitmap's bit for it. */
async function writeAlone(s: HostSnapshot): Promise<{ raw: string; chunk: number }> {
  const chunk = 100;
  const at = 7 * MiB + chunk * 4 * MiB;
  const raw = `/dev/${window(s, REMOTE)}`;
  await n1.guest.sh(`dd if=/dev/urandom of=${raw} bs=4096 seek=${at / 4096} count=16 oflag=direct conv=notrunc status=none`);
  await setBit(raw, chunk);
  return { raw, chunk };
}

test("a bare re-add takes a member in with what it wrote alone: the mirror diverges (the reason for I5, E14)", async () => {
  await openRemote();
  let s = await n1.observe();
  const { raw } = await writeAlone(s);
  await n1.guest.sh(`mdadm /dev/${array(s)} --re-add ${raw}`);
  s = await waitSync();
  assert.ok(flagsOf(s, REMOTE)!.includes("in_sync"), "MD takes it for in sync");
  await assert.rejects(sameContent(), "and it is not");
  await n1.guest.sh(`mdadm /dev/${array(s)} --fail ${raw} --remove ${raw}`);
});

test("the member comes back by bitmap, with what it wrote alone undone (I5, E14, Z18)", async () => {
  let s = await n1.observe();
  const { raw, chunk } = await writeAlone(s);
  const { metadata } = await n1.call({ metadata: [window(s, REMOTE), window(s, LOCAL)] });
  assert.ok(!metadata[1]!.dirty.includes(chunk), "the survivor does not know of it");
  const bitmapAt = await n1.guest.sh(`mdadm --examine-bitmap ${raw} | grep -c Bitmap`);
  assert.equal(bitmapAt, "1");
  await n1.apply({ kind: "ReAddMember", device: array(s), arrayUUID: ARRAY, partitionUUID: REMOTE, window: window(s, REMOTE), survivorWindow: window(s, LOCAL), local: false });
  s = await waitSync();
  assert.deepEqual(flagsOf(s, REMOTE), ["in_sync", "write_mostly"]);
  await sameContent();
  const copied = Number(await n1.guest.sh(`awk '{print $7 * 512}' /sys/block/${window(s, REMOTE)}/stat`));
  assert.ok(copied > 4 * MiB && copied < SIZE / 2, `only the chunks of the union were copied (${copied} bytes)`);
});

/** Sets one bit of the bitmap on a member, as a write by a former owner would have. */
async function setBit(path: string, chunk: number): Promise<void> {
  const script = `const fs=require("fs");const fd=fs.openSync("${path}","r+");const sb=Buffer.alloc(4096);fs.readSync(fd,sb,0,4096,4096);
const at=4096+sb.readInt32LE(96)*512+256+(${chunk}>>3);const b=Buffer.alloc(1);fs.readSync(fd,b,0,1,at);b[0]|=1<<(${chunk}&7);fs.writeSync(fd,b,0,1,at);fs.fsyncSync(fd);`;
  await n1.guest.exec(["node", "-e", script]);
}

test("a member of another array, or with an unsound superblock, is not re-added", async () => {
  const s = await n1.observe();
  const leave = { device: array(s), partitionUUID: REMOTE, window: window(s, REMOTE) };
  await n1.apply({ kind: "FailMember", ...leave }, { kind: "RemoveMember", ...leave });
  const reAdd: HostAction = { kind: "ReAddMember", ...leave, arrayUUID: ARRAY, survivorWindow: window(s, LOCAL), local: false };
  await n1.guest.sh(
    `dd if=/dev/zero of=/dev/${leave.window} bs=1 seek=4300 count=8 conv=notrunc,fsync status=none; dd if=/dev/urandom of=/dev/${leave.window} bs=1 seek=4160 count=4 conv=notrunc,fsync status=none`,
  );
  const refusal = await n1.refused(reAdd);
  assert.deepEqual([refusal.code, /checksum/.test(refusal.message)], ["Unsafe", true]);
  assert.equal(flagsOf(await n1.observe(), REMOTE), undefined);
});

test("it is rebuilt in full instead", async () => {
  const s = await n1.observe();
  const add: HostAction = { kind: "AddMember", device: array(s), partitionUUID: REMOTE, window: window(s, REMOTE), growTo: null, local: false };
  await n1.apply(add, add);
  assert.deepEqual(flagsOf(await waitSync(), REMOTE), ["in_sync", "write_mostly"]);
  await sameContent();
});

/** Opens the third member's window; returns the action that adds it. */
async function openThird(): Promise<HostAction> {
  const { device } = await n1.partition(THIRD);
  await n1.apply({ kind: "ZeroPartition", partitionUUID: THIRD, device }, { kind: "OpenWindow", partitionUUID: THIRD, epoch: 1, below: device, sizeBytes: WINDOW });
  const s = await n1.observe();
  return { kind: "AddMember", device: array(s), partitionUUID: THIRD, window: window(s, THIRD), growTo: 3, local: true };
}

test("write-mostly is set and cleared; a third slot is added, filled and shrunk away (E21)", async () => {
  let s = await n1.observe();
  await n1.apply({ kind: "SetWriteMostly", device: array(s), window: window(s, REMOTE), writeMostly: false });
  assert.deepEqual(flagsOf(await n1.observe(), REMOTE), ["in_sync"]);
  // Sectors of 4096 bytes below an array of 512 are refused: MD would raise the array's below a mounted filesystem.
  await makePartition(n1, THIRD, 1);
  const larger = await openThird();
  assert.equal((await n1.refused(larger)).code, "Unsafe");
  assert.deepEqual((await n1.observe()).mirrors[0]!.members.map((m) => m.partitionUUID).toSorted(), [LOCAL, REMOTE].toSorted());
  const { device, drive: other, number } = await n1.partition(THIRD);
  await n1.apply({ kind: "CloseWindow", partitionUUID: THIRD }, { kind: "DeletePartition", partitionUUID: THIRD, drive: other, number, device });
  await makePartition(n1, THIRD, 0, 1024 * MiB);
  const add = await openThird();
  await n1.apply(add, add);
  s = await waitSync();
  assert.deepEqual([s.mirrors[0]!.raidDisks, s.mirrors[0]!.degraded, flagsOf(s, THIRD)], [3, 0, ["in_sync"]]);
  const leave = { device: array(s), partitionUUID: THIRD, window: window(s, THIRD) };
  await n1.apply(
    { kind: "FailMember", ...leave },
    { kind: "RemoveMember", ...leave },
    { kind: "ShrinkMirror", device: array(s), slots: 2 },
    { kind: "ShrinkMirror", device: array(s), slots: 2 },
  );
  s = await n1.observe();
  assert.deepEqual([s.mirrors[0]!.raidDisks, s.mirrors[0]!.degraded, s.mirrors[0]!.hasBitmap, s.mirrors[0]!.members.length], [2, 0, true, 2]);
  await n1.apply({ kind: "CloseWindow", partitionUUID: THIRD });
});

test("everything is taken down, each step twice, and assembled again from the list", async () => {
  let s = await n1.observe();
  await n1.apply({ kind: "UnmountStage", target: STAGE }, { kind: "UnmountStage", target: STAGE });
  await n1.apply({ kind: "RemoveVolumeDevice", name: DEVICE }, { kind: "RemoveVolumeDevice", name: DEVICE });
  assert.equal(await n1.guest.sh(`ls /dev/mapper | grep ${DEVICE} || true`), "");
  const stop: HostAction = { kind: "StopMirror", device: array(s), clean: true };
  await n1.apply(stop, stop, { kind: "CloseWindow", partitionUUID: LOCAL }, { kind: "CloseWindow", partitionUUID: REMOTE });
  s = await n1.observe();
  assert.deepEqual([s.mirrors, s.windows, s.volumeDevices], [[], [], []]);
  await openBoth(2);
  const assemble: HostAction = { kind: "AssembleMirror", mirror: 0, arrayUUID: ARRAY, name: "x", members };
  await n1.apply(assemble, assemble);
  s = await n1.observe();
  assert.deepEqual([flagsOf(s, LOCAL), flagsOf(s, REMOTE), s.mirrors[0]!.hasBitmap], [["in_sync"], ["in_sync", "write_mostly"], true]);
  await volumeUp();
  await mount();
  assert.equal(await n1.guest.sh(`cat ${STAGE}/file`), "first");
});

test("a single member starts alone; the other comes back by bitmap (I3, Z17)", async () => {
  let s = await n1.observe();
  await n1.apply({ kind: "UnmountStage", target: STAGE }, { kind: "RemoveVolumeDevice", name: DEVICE }, { kind: "StopMirror", device: array(s), clean: false });
  const assemble = (list: typeof members): HostAction => ({ kind: "AssembleMirror", mirror: 0, arrayUUID: ARRAY, name: "x", members: list });
  await n1.apply(assemble([members[0]!]));
  await volumeUp();
  await mount();
  await n1.guest.sh(`echo alone >>${STAGE}/file; sync -f ${STAGE}/file`);
  s = await n1.observe();
  assert.deepEqual([s.mirrors[0]!.degraded, flagsOf(s, REMOTE), flagsOf(s, LOCAL)], [1, ["in_sync", "write_mostly"], undefined]);
  await n1.apply({ kind: "ReAddMember", device: array(s), arrayUUID: ARRAY, partitionUUID: LOCAL, window: window(s, LOCAL), survivorWindow: window(s, REMOTE), local: true });
  assert.deepEqual(flagsOf(await waitSync(), LOCAL), ["in_sync"]);
  await sameContent();
});

test("a stale member is not assembled with the others: stopped again, Unsafe (I3)", async () => {
  let s = await n1.observe();
  const leave = { device: array(s), partitionUUID: REMOTE, window: window(s, REMOTE) };
  await n1.apply({ kind: "FailMember", ...leave }, { kind: "RemoveMember", ...leave });
  await n1.guest.sh(`echo more >>${STAGE}/file; sync -f ${STAGE}/file`);
  await n1.apply({ kind: "UnmountStage", target: STAGE }, { kind: "RemoveVolumeDevice", name: DEVICE }, { kind: "StopMirror", device: array(s), clean: false });
  const refusal = await n1.refused({ kind: "AssembleMirror", mirror: 0, arrayUUID: ARRAY, name: "x", members });
  assert.equal(refusal.code, "Unsafe");
  s = await n1.observe();
  assert.deepEqual(s.mirrors, []);
});

test("a partition is wiped and deleted; its space reads as zeroes and is free", async () => {
  const s = await n1.observe();
  await n1.apply(
    { kind: "CloseWindow", partitionUUID: LOCAL },
    { kind: "CloseWindow", partitionUUID: REMOTE },
    ...s.connections.map((c): HostAction => ({ kind: "Disconnect", controller: c.controller, nqn: c.nqn })),
  );
  await n2.apply({ kind: "CutExport", nqn: nqn(2) });
  const p = await n1.partition(LOCAL);
  const remove: HostAction = { kind: "DeletePartition", partitionUUID: LOCAL, drive: p.drive, number: p.number, device: p.device };
  await n1.apply({ kind: "WipePartition", partitionUUID: LOCAL, device: p.device }, remove, remove);
  const disk = p.device.replace(/p\d+$/, "");
  assert.equal(await n1.guest.sh(`dd if=/dev/${disk} bs=1M skip=16 count=520 status=none | tr -d '\\0' | wc -c`), "0");
  const { snapshot, tables } = await n1.call({ tables: true });
  assert.deepEqual([snapshot.partitions.map((x) => x.uuid), tables.find((t) => t.drive === p.drive)!.entries.map((e) => e.uuid)], [[THIRD], [THIRD]]);
});
