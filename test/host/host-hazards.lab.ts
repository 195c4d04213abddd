/**
 * The host layer where it is dangerous: exports cut under load and over a hung drive, host tools that would assemble our arrays, mkfs killed in the middle.
 * @minutes 15
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { partitionLabel, volumeDeviceName } from "../../src/api/names.ts";
import { LABEL_AREA } from "../../src/base/layout.ts";
import { MiB } from "../../src/base/units.ts";
import type { HostAction } from "../../src/core/action.ts";
import type { Lab } from "../../lab/cluster.ts";
import { driveFaults } from "../../lab/guest/drives.ts";
import { inOrder } from "../in-order.ts";
import { createHostLab, type HostNode } from "./lab-node.ts";
import { ARRAY, connectAction, exportAction, FS_UUID, LOCAL, nqn, PART, REMOTE, SIZE, VOLUME_UID } from "./pair.ts";

const RULE = "/run/udev/rules.d/11-meshstor.rules";

let lab: Lab;
let n1: HostNode;
let n2: HostNode;
const test = inOrder();

before(async () => {
  ({ lab, n1, n2 } = await createHostLab());
});
after(async () => lab.destroy());

async function exportAndConnect(attach: number): Promise<void> {
  const { device } = await n2.partition(REMOTE);
  await n2.apply(exportAction(n1, n2, device, attach));
  await n1.apply(connectAction(n2, attach));
}
async function disconnectAll(): Promise<void> {
  for (const c of (await n1.observe()).connections) await n1.apply({ kind: "Disconnect", controller: c.controller, nqn: c.nqn });
}
const cut = (attach: number): HostAction => ({ kind: "CutExport", nqn: nqn(attach) });

/** A writer that goes on until it is stopped; its exit code tells whether any write ever failed. */
async function writer(device: string) {
  return n1.guest.spawn([
    "sh",
    "-c",
    `while dd if=/dev/zero of=/dev/${device} bs=64k count=16 seek=$((RANDOM % 4000)) oflag=direct conv=notrunc status=none; do :; done; echo failed >/tmp/write-failed`,
  ]);
}

test("members on both nodes", async () => {
  for (const [node, uuid] of [
    [n1, LOCAL],
    [n2, REMOTE],
  ] as const) {
    assert.equal((await node.call({ check: true })).check, null);
    const drive = (await node.observe()).drives.find((d) => d.sectorSize === 512)!;
    await node.apply({ kind: "CreatePartition", partitionUUID: uuid, drive: drive.id, startBytes: 16 * MiB, sizeBytes: PART, label: partitionLabel(VOLUME_UID, 0) });
    await node.apply({ kind: "ZeroPartition", partitionUUID: uuid, device: (await node.partition(uuid)).device });
  }
});

for (const [attach, debugfs] of [
  [1, true],
  [2, false],
] as const) {
  test(`an export is cut under load: its owner sees no error, only silence (Z11), ${debugfs ? "with" : "without"} debugfs`, async () => {
    await n2.guest.sh(debugfs ? "mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug" : "umount /sys/kernel/debug");
    await exportAndConnect(attach);
    const { device } = (await n1.observe()).connections[0]!;
    const running = await writer(device!);
    await sleep(1000);
    await n2.apply(cut(attach));
    assert.deepEqual((await n2.observe()).exports, []);
    await sleep(1000);
    const [c] = (await n1.observe()).connections;
    assert.deepEqual([c?.state, c?.device === null], ["connecting", false], "the owner holds its writes: it was told nothing");
    assert.equal(await n1.guest.sh("[ -e /tmp/write-failed ] && echo failed || echo held"), "held");
    running.kill("SIGKILL");
    await disconnectAll();
    await running.exited;
    await n2.guest.sh("mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug");
  });
}

test("a cut over a hung drive is not done before the drive has answered, whoever asks (I2, Z11)", async () => {
  // Without debugfs the cut goes as far as the namespace, whose disabling waits for the drive.
  await n2.guest.sh("umount /sys/kernel/debug");
  await exportAndConnect(3);
  const { device } = (await n1.observe()).connections[0]!;
  const running = await writer(device!);
  await sleep(500);
  await driveFaults.hang(n2.guest, 0);
  await sleep(1000);
  const first = await n2.refused(cut(3));
  assert.equal(first.code, "CommandTimedOut");
  // The kernel shows the namespace as disabled already, while its requests are still in the drive.
  const { snapshot, observeMs } = await n2.call({});
  assert.equal(snapshot.exports.length, 1, "the export is still listed");
  assert.ok(observeMs < 20_000, `the snapshot took ${observeMs} ms`);
  // Another process, which knows nothing of the first attempt.
  const second = await n2.refused(cut(3));
  assert.equal(second.code, "CommandTimedOut");
  assert.equal(await n2.guest.sh(`cat /sys/kernel/config/nvmet/subsystems/${nqn(3)}/namespaces/1/enable`), "0", "engaged: it says so long before it is drained");
  await driveFaults.heal(n2.guest, 0);
  await n2.apply(cut(3));
  assert.deepEqual((await n2.observe()).exports, []);
  running.kill("SIGKILL");
  await disconnectAll();
  await running.exited;
});

test("a local drive that hangs does not hide the others", async () => {
  await driveFaults.hang(n2.guest, 0);
  const before = await n2.call({});
  assert.deepEqual([before.snapshot.drives.length, before.observeMs < 5_000], [2, true]);
  await driveFaults.heal(n2.guest, 0);
});

async function mirrorUp(): Promise<void> {
  const s = await n1.observe();
  await n1.apply(
    { kind: "OpenWindow", partitionUUID: LOCAL, epoch: 1, below: s.partitions[0]!.device, sizeBytes: PART - LABEL_AREA },
    { kind: "OpenWindow", partitionUUID: REMOTE, epoch: 1, below: s.connections[0]!.device!, sizeBytes: PART - LABEL_AREA },
  );
}
const members = [
  { partitionUUID: LOCAL, local: true },
  { partitionUUID: REMOTE, local: false },
];
const arrays = (node: HostNode): Promise<string> => node.guest.sh("ls /sys/block | grep '^md' || true");

test("no host tool assembles our members; without our rule udev would (section 4)", async () => {
  await n2.guest.sh("umount /sys/kernel/debug || true");
  await exportAndConnect(4);
  await mirrorUp();
  await n1.apply({ kind: "CreateMirror", mirror: 0, arrayUUID: ARRAY, name: "vol-m0", slots: 2, members, sizeBytes: SIZE, bitmapChunkBytes: 4 * MiB });
  const md = (await n1.observe()).mirrors[0]!.device;
  await n1.apply({ kind: "StopMirror", device: md, clean: true });
  await n1.guest.sh("udevadm trigger --action=change --subsystem-match=block; udevadm trigger --action=add --subsystem-match=block; udevadm settle -t 60");
  assert.equal(await arrays(n1), "", "windows are left alone");
  const s = await n1.observe();
  const raw = [s.partitions[0]!.device, s.connections[0]!.device!];
  const close: HostAction[] = [
    { kind: "CloseWindow", partitionUUID: LOCAL },
    { kind: "CloseWindow", partitionUUID: REMOTE },
  ];
  await n1.apply(...close);
  // The control: windows opened without our rule are taken for members, and the array is started.
  await n1.guest.sh(`mv ${RULE} /tmp/rule; udevadm control --reload`);
  await mirrorUp();
  await n1.guest.sh("udevadm settle -t 60; udevadm trigger --action=change --subsystem-match=block; udevadm settle -t 60");
  assert.notEqual(await arrays(n1), "", "not engaged: udev does not assemble anything here");
  await n1.guest.sh(`for d in /dev/md*; do [ -b $d ] && mdadm --stop $d; done; mv /tmp/rule ${RULE}; udevadm control --reload`);
  await n1.apply(...close);
  for (const device of raw) assert.notEqual((await n1.guest.exec(["mdadm", "--incremental", `/dev/${device}`], { okCodes: "any" })).code, 0, `${device} shows no superblock`);
  await n1.guest.exec(["mdadm", "--assemble", "--scan"], { okCodes: "any" });
  await n1.guest.sh("udevadm trigger --action=add --subsystem-match=block; udevadm settle -t 60");
  assert.equal(await arrays(n1), "");
});

test("mkfs is killed at any moment and done again, never refused and never on anything else (I6)", async () => {
  await mirrorUp();
  await n1.apply({ kind: "AssembleMirror", mirror: 0, arrayUUID: ARRAY, name: "x", members });
  const s = await n1.observe();
  const name = volumeDeviceName("vol");
  await n1.apply({ kind: "CreateVolumeDevice", volumeName: "vol", volumeUID: VOLUME_UID, mirrors: [s.mirrors[0]!.device], sizeBytes: SIZE });
  const make: HostAction = { kind: "MakeFilesystem", device: name, fsType: "xfs", uuid: FS_UUID, sectorSize: 512, stripes: 1 };
  await n1.guest.writeFile("/tmp/request.json", JSON.stringify({ nodeUID: n1.uid, actions: [make] }));
  const states: string[] = [];
  for (let ms = 700; ms < 2_500; ms += 200) {
    await n1.guest.sh(`dd if=/dev/zero of=/dev/mapper/${name} bs=1M count=512 oflag=direct status=none`);
    const running = await n1.guest.spawn(["sh", "-c", "exec node /lab/share/program.mjs </tmp/request.json"]);
    await sleep(ms);
    running.kill("SIGKILL");
    await running.exited;
    states.push(await n1.guest.sh(`(od -An -c -N4 /dev/mapper/${name}; od -An -tu1 -j126 -N1 /dev/mapper/${name}) | tr -d ' \n'`));
    await n1.apply(make);
    assert.match(await n1.guest.sh(`blkid --probe --output export /dev/mapper/${name}`), new RegExp(`UUID=${FS_UUID}`));
  }
  assert.ok(
    states.some((state) => !state.startsWith("XFSB") || state.endsWith("1")),
    `not engaged: mkfs was always done (${states.join(" ")})`,
  );
});
