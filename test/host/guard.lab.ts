/**
 * The guard, the killing of users and the end by force on a real kernel: volumes of XFS, ext4 and a raw one with a member on another node, whose network is cut
 * while writes are on their way and no program of ours runs.
 * @minutes 8
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { exportNQN, hostNQN, partitionLabel, volumeDeviceName } from "../../src/api/names.ts";
import { LABEL_AREA, PARTITION_OVERHEAD } from "../../src/base/layout.ts";
import { MiB } from "../../src/base/units.ts";
import type { HostAction } from "../../src/core/action.ts";
import { boundsOf, promiseOf } from "../../src/core/bounds.ts";
import type { GuardEntry } from "../../src/host/guard/protocol.ts";
import type { Lab } from "../../lab/cluster.ts";
import { inOrder } from "../in-order.ts";
import { createHostLab, type HostNode } from "./lab-node.ts";

const SIZE = 512 * MiB;
const PART = SIZE + PARTITION_OVERHEAD;
const GRACE_MS = boundsOf().freshGraceMs;
const VOLUMES = (["xfs", "xfs", "ext4", "block"] as const).map((kind, k) => ({
  k,
  kind,
  uid: `0b7c4c5e-1111-4222-8333-94444444444${k}`,
  array: `a1b2c3d${k}-e5f6-4711-8899-aabbccddeeff`,
  local: `11111111-aaaa-4bbb-8ccc-00000000000${k}`,
  remote: `22222222-aaaa-4bbb-8ccc-00000000000${k}`,
  fs: `33333333-aaaa-4bbb-8ccc-00000000000${k}`,
  name: `v${k}`,
  device: volumeDeviceName(`v${k}`),
  stage: `/var/lib/kubelet/stage/v${k}`,
  nqn: exportNQN({ partitionUUID: `22222222-aaaa-4bbb-8ccc-00000000000${k}`, epoch: 1, attach: 1 }),
}));
type Volume = (typeof VOLUMES)[number];
const [A, B, C, D] = VOLUMES as [Volume, Volume, Volume, Volume];

let lab: Lab;
let n1: HostNode;
let n2: HostNode;

const test = inOrder();
const say = (text: string): void => void process.stderr.write(`figure: ${text}\n`);

before(async () => {
  ({ lab, n1, n2 } = await createHostLab());
});
after(async () => lab.destroy());

async function partition(node: HostNode, v: Volume, uuid: string): Promise<string> {
  const drive = (await node.observe()).drives.find((d) => d.sectorSize === 512)!;
  await node.apply({ kind: "CreatePartition", partitionUUID: uuid, drive: drive.id, startBytes: (16 + v.k * 1024) * MiB, sizeBytes: PART, label: partitionLabel(v.uid, 0) });
  return (await node.observe()).partitions.find((p) => p.uuid === uuid)!.device;
}

async function volumeUp(v: Volume): Promise<void> {
  const [local, remote] = [await partition(n1, v, v.local), await partition(n2, v, v.remote)];
  await n2.apply({ kind: "CreateExport", nqn: v.nqn, partitionUUID: v.remote, device: remote, hostNQN: hostNQN(n1.uid), address: n2.address, port: 4420 });
  await n1.apply({ kind: "Connect", nqn: v.nqn, partitionUUID: v.remote, address: n2.address, port: 4420 });
  const below = (await n1.observe()).connections.find((c) => c.nqn === v.nqn)!.device!;
  const window = { epoch: 1, sizeBytes: PART - LABEL_AREA };
  const members = [
    { partitionUUID: v.local, local: true },
    { partitionUUID: v.remote, local: false },
  ];
  await n1.apply(
    { kind: "OpenWindow", partitionUUID: v.local, below: local, ...window },
    { kind: "OpenWindow", partitionUUID: v.remote, below, ...window },
    { kind: "CreateMirror", mirror: 0, arrayUUID: v.array, name: `${v.name}-m0`, slots: 2, members, sizeBytes: SIZE, bitmapChunkBytes: 4 * MiB },
  );
  const mirror = (await n1.observe()).mirrors.find((m) => m.arrayUUID === v.array)!.device;
  await n1.apply({ kind: "CreateVolumeDevice", volumeName: v.name, volumeUID: v.uid, mirrors: [mirror], sizeBytes: SIZE });
  if (v.kind !== "block") await n1.apply({ kind: "MakeFilesystem", device: v.device, fsType: v.kind, uuid: v.fs, sectorSize: 512, stripes: 1 });
}

function mountAction(v: Volume): HostAction {
  if (v.kind === "block") return { kind: "BindDevice", device: v.device, target: v.stage };
  return { kind: "MountStage", device: v.device, target: v.stage, fsType: v.kind, options: ["noatime"], readOnly: false };
}

/** Counted from the start of the program that carries it out: the guard never counts from later. */
async function guardAction(v: Volume, watch = true): Promise<HostAction> {
  const controller = (await n1.observe()).connections.find((c) => c.nqn === v.nqn)?.controller ?? "none";
  return { kind: "GuardVolume", name: v.device, connections: watch ? [{ controller, nqn: v.nqn }] : [], provenMs: 0, graceMs: GRACE_MS };
}
/** The connections of all are looked at once. */
async function guardActions(): Promise<HostAction[]> {
  const { connections } = await n1.observe();
  const watched = (v: Volume) => [{ controller: connections.find((c) => c.nqn === v.nqn)?.controller ?? "none", nqn: v.nqn }];
  return VOLUMES.map((v) => ({ kind: "GuardVolume", name: v.device, connections: watched(v), provenMs: 0, graceMs: GRACE_MS }));
}
async function entries(): Promise<GuardEntry[] | null> {
  return (await n1.call({ guard: true })).guard;
}
const sh = (script: string): Promise<string> => n1.guest.sh(script);
const uptimeMs = async (): Promise<number> => Number((await sh("cut -d' ' -f1 /proc/uptime")).trim()) * 1000;
const guardPid = (): Promise<string> => sh("grep -lx @meshstor-guard /proc/[0-9]*/comm | cut -d/ -f3");
const holds = async (v: Volume): Promise<string[]> =>
  (
    await sh(
      `for p in $(grep -l '^@meshstor-hold' /proc/[0-9]*/comm | cut -d/ -f3); do tr '\\0' '\\n' </proc/$p/cmdline | grep -qx '@meshstor-hold ${v.device}' && echo $p; done || true`,
    )
  )
    .split("\n")
    .filter((p) => p !== "");
async function until<T>(what: string, limitMs: number, look: () => Promise<T | null | undefined | false>): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    assert.ok(performance.now() < end, `${what}: not within ${limitMs} ms`);
    await sleep(200);
  }
}

test("the volumes run", async () => {
  for (const node of [n1, n2]) assert.equal((await node.call({ check: true })).check, null);
  for (const v of VOLUMES) await volumeUp(v);
});

test("the guard is armed before the mount by a program in a pod, and survives the killing of all of the pod (Z16)", async () => {
  const actions = await guardActions();
  await n1.guest.writeFile("/tmp/arm.json", JSON.stringify({ nodeUID: n1.uid, actions }));
  await sh("mkdir -p /sys/fs/cgroup/kubepods/pod1");
  const pod = `echo $$ >/sys/fs/cgroup/kubepods/pod1/cgroup.procs; exec unshare --mount sh -c 'mount -t tmpfs none /mnt; MESHSTOR_TIME_SCALE=2 node /lab/share/program.mjs </tmp/arm.json >/tmp/armed.json; sleep 1000'`;
  const running = await n1.guest.spawn(["sh", "-c", pod]);
  await until("the program is done", 60_000, async () => (await sh("[ -s /tmp/armed.json ] && echo yes || true")) === "yes");
  const done = JSON.parse(await sh("cat /tmp/armed.json")) as { done: { error: unknown }[] };
  assert.deepEqual(
    done.done.map((d) => d.error),
    VOLUMES.map(() => null),
  );
  await sh("echo 1 >/sys/fs/cgroup/kubepods/pod1/cgroup.kill");
  await running.exited;
  assert.equal(await sh("cat /sys/fs/cgroup/kubepods/pod1/cgroup.procs"), "", "engaged: the pod is gone");
  const pid = await guardPid();
  assert.match(pid, /^\d+$/);
  assert.equal(await sh(`cat /proc/${pid}/cgroup`), "0::/meshstor-guard");
  assert.equal(await sh(`readlink /proc/${pid}/ns/mnt`), await sh("readlink /proc/1/ns/mnt"));
  assert.match(await sh(`cat /proc/${pid}/oom_score_adj`), /^-1000$/);
  assert.deepEqual(
    (await n1.observe()).volumeDevices.map((d) => d.guarded).toSorted(),
    VOLUMES.map((v) => [v.nqn]),
  );
  for (const v of VOLUMES) await n1.apply(mountAction(v));
});

test("at rest it costs next to nothing", async () => {
  const ticks = async (): Promise<number> => Number((await sh(`awk '{print $14+$15}' /proc/${await guardPid()}/stat`)).trim());
  const [first, from] = [await ticks(), await uptimeMs()];
  await sleep(20_000);
  const [last, to] = [await ticks(), await uptimeMs()];
  say(
    `guard of ${VOLUMES.length} volumes in a process guest: ${(((last - first) * 10_000) / (to - from) / 10).toFixed(3)} % of a core; ${await sh(`grep -E 'VmRSS|VmLck' /proc/${await guardPid()}/status | tr -s '\\t\\n ' ' '`)}`,
  );
});

test("a suspend that is asked for is the guard's, and a resume ends it", async () => {
  await n1.apply({ kind: "SuspendVolume", name: B.device });
  await until("nothing is held: it is done, and proven", 20_000, async () => (await entries())?.find((e) => e.name === B.device && e.proven && e.state === "suspended"));
  assert.equal(await sh("pgrep -x dmsetup || true"), "", "by the guard");
  assert.equal(
    await sh(`timeout 2 dd if=/dev/mapper/${B.device} of=/dev/null bs=4k count=1 iflag=direct status=none & sleep 1; [ -d /proc/$! ] && echo waits || echo read`),
    "waits",
  );
  await n1.apply({ kind: "ResumeVolume", name: B.device, notAfterMs: null });
  await sh(`dd if=/dev/mapper/${B.device} of=/dev/null bs=4k count=1 iflag=direct status=none`);
  assert.equal((await entries())?.find((e) => e.name === B.device)?.state, "armed");
});

test("users in the kernel are named and refused, and nobody is killed (Z15)", async () => {
  await sh(`dd if=/dev/zero of=${A.stage}/image bs=1M count=8 status=none; sync -f ${A.stage}/image; losetup /dev/loop7 ${A.stage}/image`);
  const bystander = await n1.guest.spawn(["sh", "-c", `cd ${A.stage} && exec sleep 1000`]);
  const refused = await n1.refused({ kind: "KillUsers", name: A.device, targets: [A.stage] });
  assert.equal(refused.code, "VolumeInUse");
  assert.match(refused.message, /loop device loop7 \(.*image\)/);
  assert.equal(await sh(`[ -d /proc/${bystander.pid} ] && echo there`), "there");
  await sh("losetup -d /dev/loop7");
  bystander.kill("SIGKILL");
});

/** Everything that can use a volume; `acked`: where success would be told. */
const WRITER = (v: Volume): string => {
  const to = v.kind === "block" ? `of=${v.stage} oflag=direct conv=notrunc` : `of=${v.stage}/file conv=fsync,notrunc`;
  return `dd if=/dev/urandom ${to} bs=64k count=4 2>/tmp/dd-${v.k} && echo acked >/tmp/acked-${v.k} || echo failed >/tmp/failed-${v.k}`;
};
const USERS: readonly [string, string][] = [
  ["writer", WRITER(A)],
  ["working directory", `cd ${A.stage} && exec sleep 1000`],
  ["mapped", `exec python3 -c 'import mmap,time,os; f=os.open("${A.stage}/image",os.O_RDWR); m=mmap.mmap(f,4096); os.close(f); time.sleep(1000)'`],
  ["raw", `exec 3</dev/mapper/${A.device}; exec sleep 1000`],
  ["container", `exec unshare --mount sh -c 'mkdir -p /run/data; mount --bind ${A.stage} /run/data; exec sleep 1000'`],
];
const pidsOf = new Map<string, number>();
const reading = (v: Volume): string =>
  `while dd if=/dev/mapper/${v.device} of=/dev/null bs=4k count=1 skip=$((RANDOM % 100)) iflag=direct status=none; do cut -d' ' -f1 /proc/uptime >/tmp/read.new && mv /tmp/read.new /tmp/read-${v.k}; done`;
const lastRead = async (v: Volume): Promise<number> => Number((await sh(`cat /tmp/read-${v.k}`)).trim()) * 1000;

test("a connection is cut with writes on their way and no program of ours: the guard suspends within its bound (I10, Z14, Z16)", async () => {
  for (const v of VOLUMES.filter(({ kind }) => kind !== "block")) await sh(`dd if=/dev/zero of=${v.stage}/file bs=64k count=4 conv=fsync status=none`);
  const readers = [await n1.guest.spawn(["bash", "-c", reading(A)])];
  for (const [name, script] of USERS.slice(1)) pidsOf.set(name, (await n1.guest.spawn(["bash", "-c", script])).pid);
  pidsOf.set("bystander", (await n1.guest.spawn(["sleep", "1000"])).pid);
  await until("reads are served", 20_000, async () => (await sh("[ -s /tmp/read-0 ] && echo yes || true")) === "yes");
  const beforeMs = await uptimeMs();
  await lab.net.cut("n1", "n2");
  const afterMs = await uptimeMs();
  for (const v of VOLUMES) pidsOf.set(`writer ${v.k}`, (await n1.guest.spawn(["bash", "-c", WRITER(v)])).pid);
  await sleep(1_500);
  const states = await sh(`cat $(for p in $(pgrep -x dd); do echo /proc/$p/status; done) | grep ^State || true`);
  const heldMs = await uptimeMs();
  const served = await lastRead(A);
  assert.match(states, /D \(disk sleep\)/, "engaged: a write is held");
  assert.ok(served > afterMs, "engaged: reads are served while it is");
  const stoppedMs = await until("reads stop", 30_000, async () => {
    const last = await lastRead(A);
    return (await uptimeMs()) - last > 2_500 ? last : null;
  });
  say(
    `reads stopped ${Math.round(stoppedMs - afterMs)} to ${Math.round(stoppedMs - beforeMs)} ms after the cut (held seen after ${Math.round(heldMs - afterMs)} ms); promised: ${promiseOf(boundsOf())} ms`,
  );
  assert.ok(stoppedMs - beforeMs < promiseOf(boundsOf()), "within the promise");
  assert.ok(stoppedMs - afterMs > GRACE_MS - 1_000, "not before the grace");
  const known = await until("all are proven by a read that hangs", 20_000, async () => {
    const all = await entries();
    return all?.every((e) => e.proven) ? all : null;
  });
  assert.deepEqual(
    known.map((e) => e.state),
    VOLUMES.map(() => "suspending"),
  );
  assert.deepEqual(
    (await n1.observe()).volumeDevices.map((d) => d.suspending || d.suspended),
    VOLUMES.map(() => true),
  );
  void readers;
});

test("a suspend that is killed is made again at once (Z14)", async () => {
  const [hold] = await holds(A);
  const killedMs = await uptimeMs();
  await sh(`kill -9 ${hold}`);
  const next = await until("another one waits", 10_000, async () => (await holds(A)).find((p) => p !== hold) ?? null);
  assert.notEqual(next, hold);
  const last = await until("reads stop again", 15_000, async () => {
    const at = await lastRead(A);
    return (await uptimeMs()) - at > 2_000 ? at : null;
  });
  say(`reads went on for ${Math.max(0, Math.round(last - killedMs))} ms after its suspend was killed`);
  assert.ok(last - killedMs < 2_500);
});

test("the guard's death is seen, ends no suspend, and it is armed again", async () => {
  const last = await lastRead(A);
  await sh(`kill -9 ${await guardPid()}`);
  const s = await n1.observe();
  assert.deepEqual(
    s.volumeDevices.map((d) => [d.guarded, d.suspending]),
    VOLUMES.map(() => [null, true]),
  );
  await n1.apply(...(await guardActions()));
  await sleep(GRACE_MS + 3_000);
  const known = await entries();
  assert.deepEqual(
    known?.map((e) => [e.state, e.proven]),
    VOLUMES.map(() => ["suspending", true]),
  );
  assert.equal((await holds(A)).length, 1, "the one that waits is enough");
  assert.equal(await lastRead(A), last, "nothing was read meanwhile");
});

test("nothing is resumed on an old proof, nor against the guard", async () => {
  const last = await lastRead(A);
  assert.equal((await n1.refused({ kind: "ResumeVolume", name: A.device, notAfterMs: 0 })).code, "Unsafe");
  assert.equal(await lastRead(A), last);
});

test("users are killed and proven, in D state or not; others live on (I4, Z15)", async () => {
  const [done] = await n1.apply({ kind: "KillUsers", name: A.device, targets: [A.stage] });
  say(`killing and proving ${USERS.length} kinds of users: ${done!.ms} ms`);
  const left = await sh(`for p in /proc/[0-9]*; do readlink $p/fd/* 2>/dev/null | grep -q '^${A.stage}/' && grep -E 'State|SigPnd|ShdPnd' $p/status; done || true`);
  say(`users of v0 that are left: ${left.replaceAll(/\s+/g, " ")}`);
  assert.match(left, /State:\s+D/, "engaged: one of them cannot end before its write does");
  for (const [name, pid] of pidsOf) {
    const alive = await sh(
      `[ -d /proc/${pid} ] && grep -q '^State:.[^ZX]' /proc/${pid}/status && [ $((0x$(grep ^SigPnd /proc/${pid}/status | cut -f2) & 256)) = 0 ] && echo alive || echo dead`,
    );
    // The shells of the writers only wait for them: they are no users, and may hear of a failure.
    assert.equal(alive, name === "bystander" || name.startsWith("writer") ? "alive" : "dead", name);
  }
});

/** Everything of the stop after the users are gone. */
async function forceDown(v: Volume): Promise<void> {
  const s = await n1.observe();
  const window = s.windows.find((w) => w.partitionUUID === v.remote)!.device;
  const device = s.mirrors.find((m) => m.arrayUUID === v.array)!.device;
  const connection = s.connections.find((c) => c.nqn === v.nqn)!;
  await n1.apply({ kind: "ShutdownFilesystem", fsType: "xfs", target: v.stage });
  assert.equal(await sh(`[ -e /tmp/acked-${v.k} ] || [ -e /tmp/failed-${v.k} ] && echo ended || echo held`), "held", "engaged: still held after the shutdown");
  await n1.apply(
    { kind: "FailMember", device, partitionUUID: v.remote, window },
    { kind: "Disconnect", controller: connection.controller, nqn: v.nqn },
    await guardAction(v, false),
    { kind: "ResumeVolume", name: v.device, notAfterMs: null },
  );
}

test("after kill and shutdown nothing is acknowledged, and the volume comes down (E13)", async () => {
  await forceDown(A);
  await until("the killed writer is gone", 30_000, async () => (await sh(`[ -d /proc/${pidsOf.get("writer 0")} ] && echo there || echo gone`)) === "gone");
  assert.equal(await sh("ls /tmp/acked-0 2>/dev/null || true"), "", "nobody heard of success");
  await n1.apply({ kind: "UnmountStage", target: A.stage }, { kind: "RemoveVolumeDevice", name: A.device });
  assert.deepEqual(
    (await entries())?.map((e) => e.name),
    [B, C, D].map((v) => v.device),
  );
});

test("a writer that nobody killed hears of an error, never of success (E13, E19)", async () => {
  await forceDown(B);
  await until("it has ended", 30_000, async () => (await sh("[ -e /tmp/failed-1 ] || [ -e /tmp/acked-1 ] && echo yes || true")) === "yes");
  assert.equal(await sh("ls /tmp/acked-1 2>/dev/null || true"), "");
  say(`the writer heard: ${(await sh("cat /tmp/dd-1")).split("\n")[0]}`);
  await n1.apply({ kind: "UnmountStage", target: B.stage }, { kind: "RemoveVolumeDevice", name: B.device });
});

/** Everything of the stop of a volume that ends at its device: suspended before anybody is killed, and it goes on with errors only. */
async function forceDownAtDevice(v: Volume): Promise<void> {
  const s = await n1.observe();
  const window = s.windows.find((w) => w.partitionUUID === v.remote)!.device;
  const device = s.mirrors.find((m) => m.arrayUUID === v.array)!.device;
  const { controller } = s.connections.find((c) => c.nqn === v.nqn)!;
  await n1.apply({ kind: "SuspendVolume", name: v.device }, { kind: "KillUsers", name: v.device, targets: [v.stage] });
  assert.equal(await sh(`[ -e /tmp/acked-${v.k} ] || [ -e /tmp/failed-${v.k} ] && echo ended || echo held`), "held", "engaged: its write is held, also when its sender is doomed");
  // Comes after the killing, and is killed by nobody.
  const late = await n1.guest.spawn(["dd", "if=/dev/zero", `of=/dev/mapper/${v.device}`, "bs=4k", "count=1", "oflag=direct", "conv=notrunc"]);
  assert.equal((await n1.refused({ kind: "FailVolume", name: v.device })).code, "CommandTimedOut", "requests are under way: not yet");
  await n1.apply({ kind: "FailMember", device, partitionUUID: v.remote, window }, { kind: "Disconnect", controller, nqn: v.nqn }, await guardAction(v, false), {
    kind: "FailVolume",
    name: v.device,
  });
  assert.notEqual((await late.exited).code, 0, "who comes later hears of an error");
  await until("the killed writer is gone", 30_000, async () => (await sh(`[ -e /tmp/failed-${v.k} ] || [ -e /tmp/acked-${v.k} ] && echo yes || true`)) === "yes");
  assert.equal(await sh(`ls /tmp/acked-${v.k} 2>/dev/null || true`), "", "nobody heard of success");
  const [failed] = (await n1.observe()).volumeDevices.filter((d) => d.name === v.device);
  assert.deepEqual([failed!.failed, failed!.suspended, failed!.suspending, failed!.below], [true, false, false, []]);
  if (v.kind === "ext4") await n1.apply({ kind: "ShutdownFilesystem", fsType: v.kind, target: v.stage });
  await n1.apply({ kind: "UnmountStage", target: v.stage }, { kind: "RemoveVolumeDevice", name: v.device }, { kind: "StopMirror", device, clean: false });
}

test("ext4 with writes held is stopped by force: its users are killed below a suspend, and everything after them fails (I4)", () => forceDownAtDevice(C));

test("a raw device with writes held is stopped by force, and nothing of any volume is left", async () => {
  await forceDownAtDevice(D);
  assert.deepEqual([await entries(), (await n1.observe()).volumeDevices], [[], []]);
  assert.match(await sh("dmesg"), /meshstor-guard: suspending meshstor-v0/);
});
