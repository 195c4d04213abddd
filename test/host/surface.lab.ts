/**
 * What pods see of a volume, on a real kernel: ext4, a raw device and its end by force, growth below a mounted filesystem,
 * and trim down to the drives. Two guests, a mirror over both.
 * @minutes 10
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { partitionLabel, volumeDeviceName } from "../../src/api/names.ts";
import { LABEL_AREA, PARTITION_OVERHEAD } from "../../src/base/layout.ts";
import { KiB, MiB } from "../../src/base/units.ts";
import type { HostAction } from "../../src/core/action.ts";
import type { HostSnapshot } from "../../src/core/observed.ts";
import type { Lab } from "../../lab/cluster.ts";
import { inOrder } from "../in-order.ts";
import { createHostLab, type HostNode } from "./lab-node.ts";
import { ARRAY, connectAction, exportAction, FS_UUID, LOCAL, PART, REMOTE, SIZE, VOLUME_UID } from "./pair.ts";

const DEVICE = volumeDeviceName("vol");
const STAGE = "/var/lib/kubelet/stage/vol";
const BOUND = "/var/lib/kubelet/stage/raw/device";
const PUBLISHED = "/var/lib/kubelet/publish/pod-1";
const NEIGHBOUR = "44444444-aaaa-4bbb-8ccc-000000000004";

let lab: Lab;
let n1: HostNode;
let n2: HostNode;
let size = SIZE;

/** The steps build on each other. */
const test = inOrder();

before(async () => {
  ({ lab, n1, n2 } = await createHostLab());
});
after(async () => lab.destroy());

const sh = (text: string): Promise<string> => n1.guest.sh(text);
const code = async (text: string): Promise<number | null> => (await n1.guest.exec(["sh", "-c", text], { okCodes: "any" })).code;
const driveOf = (s: HostSnapshot) => s.drives.find((d) => d.sectorSize === 512)!;
const isRunning = (p: { exited: Promise<unknown> }): Promise<boolean> =>
  Promise.race([p.exited.then(() => false), new Promise<boolean>((resolve) => setTimeout(resolve, 50, true))]);
const windowOf = (s: HostSnapshot, uuid: string): string => s.windows.find((w) => w.partitionUUID === uuid)!.device;
const mirrorOf = (s: HostSnapshot): string => s.mirrors[0]!.device;

async function makePartition(node: HostNode, partitionUUID: string): Promise<void> {
  const { id } = driveOf(await node.observe());
  await node.apply({ kind: "CreatePartition", partitionUUID, drive: id, startBytes: 16 * MiB, sizeBytes: PART, label: partitionLabel(VOLUME_UID, 0) });
  await node.apply({ kind: "ZeroPartition", partitionUUID, device: (await node.partition(partitionUUID)).device });
}

async function volumeUp(): Promise<void> {
  await n1.apply({ kind: "CreateVolumeDevice", volumeName: "vol", volumeUID: VOLUME_UID, mirrors: [mirrorOf(await n1.observe())], sizeBytes: size });
}

const make = (fsType: "xfs" | "ext4", uuid = FS_UUID): HostAction => ({ kind: "MakeFilesystem", device: DEVICE, fsType, uuid, sectorSize: 512, stripes: 1 });
const mount = (fsType: "xfs" | "ext4"): HostAction => ({ kind: "MountStage", device: DEVICE, target: STAGE, fsType, options: [], readOnly: false });

test("a mirror over both nodes, and its volume device", async () => {
  await makePartition(n1, LOCAL);
  await makePartition(n2, REMOTE);
  await n2.apply(exportAction(n1, n2, (await n2.partition(REMOTE)).device, 1));
  await n1.apply(connectAction(n2, 1));
  const s = await n1.observe();
  const paths: Record<string, string> = { [LOCAL]: s.partitions[0]!.device, [REMOTE]: s.connections[0]!.device! };
  const devices = [LOCAL, REMOTE].map((partitionUUID) => ({ partitionUUID, mirror: 0, device: paths[partitionUUID]!, generation: 1 }));
  await n1.apply({ kind: "StampLabel", volumeUID: VOLUME_UID, epoch: 1, atStart: true, devices });
  for (const partitionUUID of [LOCAL, REMOTE]) await n1.apply({ kind: "OpenWindow", partitionUUID, epoch: 1, below: paths[partitionUUID]!, sizeBytes: PART - LABEL_AREA });
  const members = [
    { partitionUUID: LOCAL, local: true },
    { partitionUUID: REMOTE, local: false },
  ];
  await n1.apply({ kind: "CreateMirror", mirror: 0, arrayUUID: ARRAY, name: `${VOLUME_UID.slice(0, 18)}-m0`, slots: 2, members, sizeBytes: SIZE, bitmapChunkBytes: 4 * MiB });
  await volumeUp();
});

test("ext4 is made for its UUID only, again where it was not finished, and never over anything else (I6)", async () => {
  await n1.apply(make("ext4"), make("ext4"));
  assert.equal((await n1.refused(make("ext4", LOCAL))).code, "ForeignContent");
  assert.equal((await n1.refused(make("xfs"))).code, "ForeignContent");
  // As a cut leaves it: the mark, no superblock yet, and something that says nothing.
  const at = (size - 128 * KiB) / 4096;
  await sh(
    `dd if=/dev/zero of=/dev/mapper/${DEVICE} bs=1M count=1 oflag=direct status=none; dd if=/dev/urandom of=/dev/mapper/${DEVICE} bs=4k seek=3 count=1 oflag=direct status=none`,
  );
  assert.equal((await n1.refused(make("ext4"))).code, "ForeignContent", "without the mark it is not ours");
  await sh(`printf 'MeshStor makes ext4 ${FS_UUID}\\n' | dd of=/dev/mapper/${DEVICE} bs=4k seek=${at} conv=sync,notrunc oflag=direct iflag=fullblock status=none`);
  await n1.apply(make("ext4"), mount("ext4"), mount("ext4"));
  await sh(`dd if=/dev/urandom of=${STAGE}/data bs=1M count=64 conv=fsync status=none`);
});

test("an ext4 that is shut down serves nothing, is unmounted, and is whole when it is mounted again", async () => {
  const sum = await sh(`md5sum <${STAGE}/data`);
  await n1.apply({ kind: "ShutdownFilesystem", target: STAGE, fsType: "ext4" });
  assert.notEqual(await code(`echo x >${STAGE}/after; sync -f ${STAGE}/after`), 0);
  await n1.apply({ kind: "UnmountStage", target: STAGE }, mount("ext4"));
  assert.equal(await sh(`md5sum <${STAGE}/data`), sum);
});

test("trim reaches the drives of both nodes", async (t) => {
  const names = new Map([
    [n1, driveOf(await n1.observe()).device],
    [n2, driveOf(await n2.observe()).device],
  ]);
  const discards = async (node: HostNode): Promise<number> => Number(await node.guest.sh(`awk '{print $14}' /sys/block/${names.get(node)}/stat`));
  const limit = await sh(`cat /sys/block/${(await n1.observe()).volumeDevices[0]!.device}/queue/discard_max_bytes`);
  const drives = await Promise.all([n1, n2].map((node) => node.guest.sh(`cat /sys/block/${names.get(node)}/queue/discard_max_bytes`)));
  t.diagnostic(`discard_max_bytes: volume ${limit.trim()}, drives ${drives.map((d) => d.trim()).join(" and ")}`);
  if (drives.some((d) => d.trim() === "0")) return t.diagnostic("the drives of this lab take no discards: not engaged");
  const before = await Promise.all([discards(n1), discards(n2)]);
  await sh(`rm ${STAGE}/data; sync -f ${STAGE}; fstrim -v ${STAGE} >&2; dd if=/dev/urandom of=${STAGE}/data bs=1M count=64 conv=fsync status=none`);
  const now = await Promise.all([discards(n1), discards(n2)]);
  assert.ok(
    now.every((n, i) => n - before[i]! >= (32 * MiB) / 512),
    `discarded sectors: ${now.map((n, i) => n - before[i]!).join(" and ")}`,
  );
});

/** Everything grows to `to` bytes, each step twice, with the filesystem mounted and written to. */
async function grow(to: number, fsType: "xfs" | "ext4"): Promise<void> {
  const toBytes = to + PARTITION_OVERHEAD;
  const fromBytes = size + PARTITION_OVERHEAD;
  const sum = await sh(`md5sum <${STAGE}/data`);
  const writer = await n1.guest.spawn(["sh", "-c", `i=0; while :; do echo $i >>${STAGE}/log; sync -f ${STAGE}/log || exit 1; i=$((i+1)); done`]);
  for (const [node, uuid] of [
    [n1, LOCAL],
    [n2, REMOTE],
  ] as const) {
    const { drive, device } = await node.partition(uuid);
    const bigger: HostAction = { kind: "GrowPartition", partitionUUID: uuid, drive, toBytes };
    await node.apply(bigger, bigger);
    assert.equal((await node.partition(uuid)).sizeBytes, toBytes);
    if (node === n1) assert.equal((await node.refused({ kind: "ZeroExtension", partitionUUID: uuid, device, fromBytes: fromBytes - MiB, toBytes })).code, "Unsafe");
    await node.apply({ kind: "ZeroExtension", partitionUUID: uuid, device, fromBytes, toBytes });
  }
  const s = await n1.observe();
  const sizeBytes = toBytes - LABEL_AREA;
  const windows: HostAction[] = [
    { kind: "GrowWindow", partitionUUID: LOCAL, epoch: 1, below: s.partitions.find((p) => p.uuid === LOCAL)!.device, controller: null, sizeBytes },
    { kind: "GrowWindow", partitionUUID: REMOTE, epoch: 1, below: s.connections[0]!.device!, controller: s.connections[0]!.controller, sizeBytes },
  ];
  const mirror: HostAction = { kind: "GrowMirror", device: mirrorOf(s), sizeBytes: to };
  const device: HostAction & { kind: "GrowVolumeDevice" } = { kind: "GrowVolumeDevice", name: DEVICE, mirrors: [mirrorOf(s)], sizeBytes: to, notAfterMs: null };
  const filesystem: HostAction = { kind: "GrowFilesystem", device: DEVICE, target: STAGE, fsType, sizeBytes: to };
  await n1.apply(...windows, ...windows, mirror, mirror);
  if (fsType === "ext4") {
    // Its new table comes with a resume (I10).
    assert.equal((await n1.refused({ ...device, notAfterMs: 0 })).code, "Unsafe");
    await n1.apply({ kind: "SuspendVolume", name: DEVICE });
    assert.equal((await n1.refused(device)).code, "Unsafe");
    assert.deepEqual([(await n1.observe()).volumeDevices[0]!.suspended, (await n1.observe()).volumeDevices[0]!.sizeBytes], [true, size]);
    await n1.apply({ kind: "ResumeVolume", name: DEVICE, notAfterMs: null });
  }
  await n1.apply(device, device, filesystem, filesystem);
  assert.equal(await isRunning(writer), true, "the writer met no error");
  writer.kill("SIGKILL");
  await writer.exited;
  const after = await n1.observe();
  const [m] = after.mirrors;
  assert.deepEqual([m!.sizeBytes, m!.syncAction, m!.hasBitmap, m!.members.map((x) => x.flags.includes("in_sync"))], [to, "idle", true, [true, true]]);
  assert.deepEqual([after.volumeDevices[0]!.sizeBytes, after.volumeDevices[0]!.suspended], [to, false]);
  const { totalBytes } = (await n1.call({ usage: STAGE })).usage as { totalBytes: number };
  assert.ok(totalBytes > 0.85 * to, `the filesystem has ${totalBytes} bytes`);
  // What was added is equal on both, and what was there is as it was.
  await sh(`dd if=/dev/urandom of=${STAGE}/more bs=1M count=${Math.floor((to - size) / MiB / 2)} conv=fsync status=none; sync -f ${STAGE}`);
  assert.equal(await sh(`md5sum <${STAGE}/data`), sum);
  size = to;
}

test("growth below ext4, while it is written to", () => grow(640 * MiB, "ext4"));

test("the array is found in its new size by whoever assembles it, and XFS grows as well", async () => {
  await n1.apply({ kind: "UnmountStage", target: STAGE }, { kind: "RemoveVolumeDevice", name: DEVICE });
  await n1.apply({ kind: "StopMirror", device: mirrorOf(await n1.observe()), clean: true });
  const members = [
    { partitionUUID: REMOTE, local: false },
    { partitionUUID: LOCAL, local: true },
  ];
  await n1.apply({ kind: "AssembleMirror", mirror: 0, arrayUUID: ARRAY, name: `${VOLUME_UID.slice(0, 18)}-m0`, members });
  assert.equal((await n1.observe()).mirrors[0]!.sizeBytes, size);
  await volumeUp();
  await sh(`for at in 0 ${size / MiB - 1}; do dd if=/dev/zero of=/dev/mapper/${DEVICE} bs=1M seek=$at count=1 oflag=direct status=none; done`);
  await n1.apply(make("xfs"), mount("xfs"));
  await sh(`dd if=/dev/urandom of=${STAGE}/data bs=1M count=64 conv=fsync status=none`);
  await grow(1024 * MiB, "xfs");
  const s = await n1.observe();
  const { metadata } = await n1.call({ metadata: [LOCAL, REMOTE].map((uuid) => windowOf(s, uuid)) });
  assert.deepEqual(
    metadata.map((m) => m.chunkBytes),
    [4 * MiB, 4 * MiB],
    "the bitmap's chunk stays while its bits fit",
  );
});

test("nothing grows into a neighbour (I9)", async () => {
  const { drive, startBytes, sizeBytes } = await n1.partition(LOCAL);
  await n1.apply({ kind: "CreatePartition", partitionUUID: NEIGHBOUR, drive, startBytes: startBytes + sizeBytes, sizeBytes: 8 * MiB, label: "neighbour" });
  assert.equal((await n1.refused({ kind: "GrowPartition", partitionUUID: LOCAL, drive, toBytes: sizeBytes + MiB })).code, "Unsafe");
});

test("a raw device: bound, seen as the volume's, and whoever uses it is found, however he does", async () => {
  await n1.apply({ kind: "UnmountStage", target: STAGE });
  const bind = (target: string): HostAction => ({ kind: "BindDevice", device: DEVICE, target });
  await n1.apply(bind(BOUND), bind(BOUND), bind(PUBLISHED));
  const s = await n1.observe();
  const [v] = s.volumeDevices;
  assert.deepEqual(
    s.mounts
      .filter((m) => m.device === v!.device)
      .map((m) => m.target)
      .toSorted(),
    [PUBLISHED, BOUND].toSorted(),
  );
  // Kubelet's lock, one who has it open, one who has only mapped it, one who has the lock's device open.
  await sh(`losetup /dev/loop5 ${PUBLISHED}`);
  const users = await Promise.all([
    n1.guest.spawn(["sh", "-c", `exec 3<>${PUBLISHED}; exec sleep 1000`]),
    n1.guest.spawn(["python3", "-c", `import mmap,os,time\nfd=os.open("${PUBLISHED}",os.O_RDWR)\nm=mmap.mmap(fd,4096)\nos.close(fd)\ntime.sleep(1000)`]),
    n1.guest.spawn(["sh", "-c", "exec 3</dev/loop5; exec sleep 1000"]),
  ]);
  await sh("sleep 1");
  await n1.apply({ kind: "KillUsers", name: DEVICE, targets: [BOUND, PUBLISHED] });
  await Promise.all(users.map((user) => user.exited));
});

test("stopped by force: suspended, then every request fails, by whatever node of the device; nothing of it is left", async () => {
  const read = (path: string) => code(`timeout 5 dd if=${path} of=/dev/null bs=4k count=1 iflag=direct status=none`);
  assert.equal(await read(PUBLISHED), 0);
  const major = await sh(`stat -Lc '%Hr %Lr' ${PUBLISHED}`);
  await sh(`mknod /tmp/kept b ${major}`);
  await n1.apply({ kind: "SuspendVolume", name: DEVICE });
  const late = await n1.guest.spawn(["sh", "-c", `dd if=/dev/zero of=${PUBLISHED} bs=4k count=1 oflag=direct conv=notrunc`]);
  await sh("sleep 1");
  assert.equal(await isRunning(late), true, "what comes after the suspend waits");
  const fail: HostAction = { kind: "FailVolume", name: DEVICE };
  await n1.apply(fail, fail);
  assert.notEqual((await late.exited).code, 0);
  const [v] = (await n1.observe()).volumeDevices;
  assert.deepEqual([v!.failed, v!.suspended, v!.below, v!.sizeBytes], [true, false, [], size]);
  assert.deepEqual([await read(PUBLISHED), await read("/tmp/kept")], [1, 1]);
  await n1.apply({ kind: "UnmountStage", target: PUBLISHED }, { kind: "UnmountStage", target: BOUND }, { kind: "RemoveVolumeDevice", name: DEVICE });
  const s = await n1.observe();
  assert.deepEqual(
    [s.volumeDevices, await sh("cat /sys/block/loop5/loop/backing_file 2>/dev/null || echo free"), await sh(`ls ${BOUND} 2>/dev/null || echo gone`)],
    [[], "free", "gone"],
  );
  await n1.apply({ kind: "StopMirror", device: mirrorOf(s), clean: true });
});
