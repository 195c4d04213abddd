/**
 * What the kernel does when connections end, on a real kernel (experiments 5, 6, 8 and 9): how long a disconnect takes, which write lands last, who is told "do not retry", and what survives a fence.
 * @minutes 10
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Lab } from "../../lab/cluster.ts";
import { driveFaults } from "../../lab/guest/drives.ts";
import type { Guest } from "../../lab/guest/guest.ts";
import { inOrder } from "../in-order.ts";
import {
  connect,
  connectCommand,
  exportDevice,
  finished,
  kernelName,
  makeMirror,
  MEMBER_MIB,
  memberState,
  nqnOf,
  prepare,
  slice,
  start,
  stateOf,
  untilLost,
  withdrawScript,
  MD,
  dropMirror,
  type Path,
} from "./raw.ts";
import { createRawLab } from "./raw-lab.ts";
import { LOAD, shutDownUnderLoad } from "./shutdown-under-load.ts";

let lab: Lab;
/** Two owners, with native multipath and without, and a provider. */
let owners: [Guest, Guest];
let provider: Guest;
let address: string;
const test = inOrder();

before(async () => {
  lab = await createRawLab([{ name: "n3", cmdline: "nvme_core.multipath=N" }]);
  owners = [lab.guest("n1"), lab.guest("n3")];
  provider = lab.guest("n2");
  address = lab.net.addresses("n2").ipv4;
});
after(async () => lab.destroy());

const disconnectScript = (path: Path): string => `nvme disconnect --device=${path.controller}`;
const writeTo = (path: Path, mib: number): string => `dd if=/dev/zero of=/dev/${path.device} bs=64k count=1 seek=$((${mib} * 16)) oflag=direct conv=notrunc status=none`;
const both = <T>(work: (owner: Guest, index: number) => Promise<T>): Promise<T[]> => Promise.all(owners.map(work));
const MULTIPATH = ["multipath on", "multipath off"] as const;

async function cut(): Promise<void> {
  for (const owner of owners) await lab.net.cut(owner.name, "n2");
}
async function healed(): Promise<void> {
  assert.ok((await lab.net.dropped()) > 0, "engaged: packets were dropped");
  await lab.net.heal();
}

test("the exports", async (t) => {
  await Promise.all([...owners, provider].map(prepare));
  for (const [index, name] of ["e0", "e1", "e2", "e3"].entries()) await slice(provider, name, index);
  assert.deepEqual(await both((owner) => owner.sh("cat /sys/module/nvme_core/parameters/multipath")), ["Y", "N"]);
  t.diagnostic(`kernel ${await provider.sh("uname -r")}`);
});

/** Makes the exports of a case, one for each owner and kind, and connects. */
async function connected(names: readonly string[]): Promise<Path[][]> {
  const result: Path[][] = [];
  for (const [index, owner] of owners.entries()) {
    const paths: Path[] = [];
    for (const [at, name] of names.entries()) {
      await exportDevice(provider, address, `${name}-${owner.name}`, `/dev/mapper/e${index * 2 + at}`);
      paths.push(await connect(owner, address, `${name}-${owner.name}`));
    }
    result.push(paths);
  }
  return result;
}
async function withdrawn(names: readonly string[]): Promise<void> {
  for (const owner of owners) for (const name of names) await finished("withdraw", await start(provider, withdrawScript(`${name}-${owner.name}`)), 60_000);
}

test("5: a disconnect while the controller is connecting ends at once, and with it the write that was held", async (t) => {
  const paths = await connected(["connecting"]);
  await cut();
  // Z10: newer kernels can keep a namespace for a while that has lost its last path.
  const kept = await both((owner, i) => owner.sh(`cat /sys/block/${paths[i]![0]!.device}/delayed_removal_secs 2>/dev/null || echo none`));
  const writes = await both((owner, i) => start(owner, writeTo(paths[i]![0]!, 1)));
  await both((owner, i) => untilLost(owner, [paths[i]![0]!.controller]));
  for (const write of writes) assert.equal(await write.within(0), null, "engaged: the write is held");
  const ends = await both(async (owner, i) => finished("disconnect", await start(owner, disconnectScript(paths[i]![0]!)), 75_000));
  const heard = await Promise.all(writes.map((write) => finished("the write", write, 10_000)));
  for (const [i, name] of MULTIPATH.entries()) t.diagnostic(`${name}: disconnect ${ends[i]!.ms} ms; the write heard of an error: ${heard[i]!.code !== 0}`);
  t.diagnostic(`delayed_removal_secs: ${kept.join(", ")}`);
  await healed();
  await withdrawn(["connecting"]);
  assert.ok(
    kept.every((value) => value === "none" || value === "0"),
    "no delayed removal",
  );
  assert.deepEqual(
    heard.map((end) => end.code === 0),
    [false, false],
  );
  for (const end of ends) assert.ok(end.ms < 5_000);
});

test("3: a flush is under way when the path is lost: held without native multipath; with it, told as done although it never was (Z1)", async (t) => {
  const paths = await connected(["flushed"]);
  await both((owner, i) => owner.sh(writeTo(paths[i]![0]!, 1)));
  await cut();
  const flushes = await both((owner, i) => start(owner, `sync /dev/${paths[i]![0]!.device}`));
  await both((owner, i) => untilLost(owner, [paths[i]![0]!.controller]));
  const atLoss = await Promise.all(flushes.map((flush) => flush.within(1_000)));
  const later = await both((owner, i) => start(owner, `sync /dev/${paths[i]![0]!.device}`));
  const heldLater = await Promise.all(later.map((flush) => flush.within(1_000)));
  await both(async (owner, i) => finished("disconnect", await start(owner, disconnectScript(paths[i]![0]!)), 10_000));
  const ends = await Promise.all([...flushes, ...later].map((flush) => finished("the flush", flush, 10_000)));
  for (const [i, name] of MULTIPATH.entries())
    t.diagnostic(
      `${name}: the flush under way ${atLoss[i] === null ? `is held, and ended by the disconnect with code ${ends[i]!.code}` : `ended after ${atLoss[i]!.ms} ms, at the loss, with code ${atLoss[i]!.code}`}; one that came later ${heldLater[i] === null ? "is held" : "is not held"}, and ends with code ${ends[i + 2]!.code}`,
    );
  await healed();
  await withdrawn(["flushed"]);
  assert.deepEqual(heldLater, [null, null]);
  assert.equal(atLoss[1], null, "held without multipath");
});

test("5: a disconnect while the controller is live but the network is gone, also in the middle of a scan: bounded (Z9)", async (t) => {
  const names = ["blackholed", "scanned"];
  const paths = await connected(names);
  await cut();
  const scans = await both((owner, i) => start(owner, `echo 1 >/sys/class/nvme/${paths[i]![1]!.controller}/rescan_controller`));
  const writes = await both((owner, i) => start(owner, writeTo(paths[i]![0]!, 1)));
  await sleep(300);
  const states = await both((owner, i) => Promise.all(paths[i]!.map((path) => stateOf(owner, path.controller))));
  const started = await both((owner, i) => Promise.all(paths[i]!.map((path) => start(owner, disconnectScript(path)))));
  const ends = await Promise.all(started.map((list) => Promise.all(list.map((one) => finished("disconnect", one, 75_000)))));
  const heard = await Promise.all(writes.map((write) => finished("the write", write, 75_000)));
  await Promise.all(scans.map((scan) => finished("the scan", scan, 75_000)));
  const left = await both((owner, i) => Promise.all(paths[i]!.map((path) => stateOf(owner, path.controller))));
  for (const [i, name] of MULTIPATH.entries()) {
    t.diagnostic(`${name}: state ${states[i]![0]}: disconnect ${ends[i]![0]!.ms} ms, the write ended after ${heard[i]!.ms} ms with code ${heard[i]!.code}`);
    t.diagnostic(`${name}: during a scan (${states[i]![1]}): disconnect ${ends[i]![1]!.ms} ms`);
  }
  await healed();
  await withdrawn(names);
  assert.deepEqual(states.flat(), ["live", "live", "live", "live"], "engaged: still live when the disconnect began");
  assert.deepEqual(left.flat(), ["gone", "gone", "gone", "gone"]);
});

test("5: a connect to a provider that has just gone keeps every other connect of its host waiting, for the kernel makes one at a time", async (t) => {
  const [owner, other] = owners;
  const elsewhere = lab.net.addresses(other.name).ipv4;
  await slice(other, "o0", 0);
  await exportDevice(other, elsewhere, "elsewhere", "/dev/mapper/o0");
  await exportDevice(provider, address, "gone", "/dev/mapper/e0");
  await lab.net.cut("n1", "n2");
  const vain = await start(owner, `${connectCommand(address, "gone")} 2>/dev/null`);
  await sleep(500);
  const second = await start(owner, connectCommand(elsewhere, "elsewhere"));
  const ends = [await finished("the connect to nobody", vain, 150_000), await finished("the other connect", second, 150_000)];
  t.diagnostic(
    `the connect to a provider that is cut off: ${ends[0]!.ms} ms, code ${ends[0]!.code}; another one, begun meanwhile to a node in reach: ${ends[1]!.ms} ms, code ${ends[1]!.code}`,
  );
  await owner.sh(`nvme disconnect --nqn=${nqnOf("elsewhere")}`);
  await healed();
  await other.sh(withdrawScript("elsewhere"));
  await finished("withdraw", await start(provider, withdrawScript("gone")), 30_000);
  assert.ok(ends[0]!.code !== 0, "engaged: nobody answered");
  assert.equal(ends[1]!.code, 0);
  assert.ok(ends[1]!.ms > ends[0]!.ms - 1_500, "it waited for the first one to end");
});

test("5: a disconnect while the provider answers but its drive hangs; what the write hears", async (t) => {
  const paths = await connected(["hung"]);
  await driveFaults.hang(provider, 0);
  const writes = await both((owner, i) => start(owner, writeTo(paths[i]![0]!, 2)));
  await sleep(1_500);
  for (const write of writes) assert.equal(await write.within(0), null, "engaged: the write is held");
  assert.deepEqual(await both((owner, i) => stateOf(owner, paths[i]![0]!.controller)), ["live", "live"]);
  const ends = await both(async (owner, i) => finished("disconnect", await start(owner, disconnectScript(paths[i]![0]!)), 75_000));
  const heard = await Promise.all(writes.map((write) => finished("the write", write, 75_000)));
  const withdrawals = await Promise.all(owners.map((owner) => start(provider, withdrawScript(`hung-${owner.name}`))));
  const drained = await Promise.all(withdrawals.map((one) => one.within(3_000)));
  await driveFaults.heal(provider, 0);
  await Promise.all(withdrawals.map((one) => finished("withdraw", one, 60_000)));
  for (const [i, name] of MULTIPATH.entries()) t.diagnostic(`${name}: disconnect ${ends[i]!.ms} ms, the write ended after ${heard[i]!.ms} ms with code ${heard[i]!.code}`);
  t.diagnostic(`the provider's withdrawal waits for the drive: ${drained.every((end) => end === null)}`);
  assert.deepEqual(drained, [null, null], "a drive that hangs is not drained");
  assert.deepEqual(
    heard.map((end) => end.code === 0),
    [false, false],
  );
});

// A drive that keeps one write for 8 s and serves others at once: two ways below a multipath device.
const SLOW_MS = 8_000;
const SECTORS = MEMBER_MIB * 2048;
async function treacherousDrive(): Promise<void> {
  await provider.sh(`dmsetup create late --table "0 ${SECTORS} delay /dev/mapper/e0 0 0 /dev/mapper/e0 0 ${SLOW_MS}"
dmsetup create now --table "0 ${SECTORS} linear /dev/mapper/e0 0"
dmsetup create drive --table "0 ${SECTORS} multipath 2 queue_mode bio 0 2 1 round-robin 0 1 1 /dev/mapper/late 1000 round-robin 0 1 1 /dev/mapper/now 1000"`);
}
const way = (group: 1 | 2): Promise<string> =>
  provider.sh(`dmsetup message drive 0 switch_group ${group}; dd if=/dev/mapper/drive of=/dev/null bs=4k count=1 iflag=direct status=none`);
/** Writes that the slow way keeps at this moment. */
const KEPT = "dmsetup status late | awk '{ print $5 + $6 }'";
const inDrive = (): Promise<string> => provider.sh(KEPT);
const fill = (path: Path, letter: string): string =>
  `head -c 4096 /dev/zero | tr '\\0' ${letter} >/tmp/${letter}; dd if=/tmp/${letter} of=/dev/${path.device} bs=4k count=1 oflag=direct conv=notrunc status=none`;
const block = (path: Path): Promise<string> => owners[0].sh(`dd if=/dev/${path.device} bs=4k count=1 iflag=direct status=none | head -c 1`);

test("6: a controller is reset by hand over a slow drive: the old write lands after the newer one, although both were acknowledged (Z6)", async (t) => {
  const [owner] = owners;
  await treacherousDrive();
  await exportDevice(provider, address, "reset", "/dev/mapper/drive");
  const path = await connect(owner, address, "reset");
  await way(1);
  const old = await start(owner, fill(path, "A"));
  await sleep(1_000);
  assert.equal(await inDrive(), "1", "engaged: the write is in the drive");
  assert.equal(await old.within(0), null);
  await way(2);
  const from = performance.now();
  await owner.sh(`echo 1 >/sys/class/nvme/${path.controller}/reset_controller`);
  const resetMs = Math.round(performance.now() - from);
  const first = await finished("the repeated write", old, 10_000);
  assert.equal(await inDrive(), "1", "the first one is in the drive yet");
  await finished("the newer write", await start(owner, fill(path, "B")), 10_000);
  const read = await block(path);
  await provider.sh(`for i in $(seq 200); do [ $(${KEPT}) = 0 ] && exit 0; sleep 0.1; done; exit 1`);
  const later = await block(path);
  const transitions = await owner.sh(`ls /sys/class/nvme/${path.controller} | grep -i -E 'reset|reconnect|retries|error' | tr '\\n' ' '`);
  t.diagnostic(
    `reset ${resetMs} ms and live again; the write was repeated and acknowledged after ${first.ms} ms; then B was written: read ${read}, and ${later} once the drive was idle; attributes: ${transitions}`,
  );
  await owner.sh(disconnectScript(path));
  await finished("withdraw", await start(provider, withdrawScript("reset")), 30_000);
  assert.deepEqual([first.code, read, later], [0, "B", "A"], "an acknowledged write is undone by an older one");
});

test("6: the same by withdrawal and a new name: the withdrawal waits for the old write, and the newer one stays (I2)", async (t) => {
  const [owner] = owners;
  await exportDevice(provider, address, "first", "/dev/mapper/drive");
  const path = await connect(owner, address, "first");
  await way(1);
  const old = await start(owner, fill(path, "A"));
  await sleep(1_000);
  assert.equal(await inDrive(), "1", "engaged: the write is in the drive");
  await way(2);
  await lab.net.cut("n1", "n2");
  const withdrawal = await start(provider, withdrawScript("first"));
  const early = await withdrawal.within(2_000);
  await untilLost(owner, [path.controller]);
  await finished("disconnect", await start(owner, disconnectScript(path)), 10_000);
  await healed();
  const drained = await finished("withdraw", withdrawal, 30_000);
  assert.equal(await inDrive(), "0", "drained");
  await exportDevice(provider, address, "second", "/dev/mapper/drive");
  const next = await connect(owner, address, "second");
  await finished("the newer write", await start(owner, fill(next, "B")), 10_000);
  await sleep(2_000);
  const read = await block(next);
  const heard = await finished("the old write", old, 10_000);
  t.diagnostic(`withdrawal ${drained.ms} ms; the old write heard code ${heard.code}; read: ${read}`);
  await owner.sh(disconnectScript(next));
  await finished("withdraw", await start(provider, withdrawScript("second")), 30_000);
  await provider.sh("dmsetup remove drive; dmsetup remove late; dmsetup remove now");
  assert.deepEqual([early, read], [null, "B"]);
});

/** The mirror of n1 with a remote member. */
async function mirrorOver(name: string): Promise<{ path: Path; member: string }> {
  const [owner] = owners;
  await exportDevice(provider, address, name, "/dev/mapper/e1");
  const path = await connect(owner, address, name);
  await makeMirror(owner, ["mapper/local"], [path.device]);
  return { path, member: await kernelName(owner, path.device) };
}

test("8: a namespace is disabled under a live connection, as by services that stop drives before the network: MD fails the member at once and goes on (Z12)", async (t) => {
  const [owner] = owners;
  await slice(owner, "local", 0);
  const { path, member } = await mirrorOver("disabled");
  await owner.sh("rm -f /tmp/enough");
  const load = await start(owner, LOAD);
  await sleep(1_000);
  const from = performance.now();
  await provider.sh(`echo 0 >/sys/kernel/config/nvmet/subsystems/${nqnOf("disabled")}/namespaces/1/enable`);
  let state = await memberState(owner, member);
  while (/in_sync/.test(state) && !/faulty/.test(state) && performance.now() - from < 15_000) state = await memberState(owner, member);
  const failedMs = Math.round(performance.now() - from);
  const live = await stateOf(owner, path.controller);
  await sleep(500);
  const going = (await load.within(0)) === null;
  await owner.sh(": >/tmp/enough");
  const wrote = await finished("the load", load, 10_000);
  t.diagnostic(`member ${state} ${failedMs} ms after the namespace was disabled, controller ${live}; writes were acknowledged without it: ${going && wrote.code === 0}`);
  await owner.sh(`mdadm --manage /dev/${MD} --fail detached 2>/dev/null || true; mdadm --manage /dev/${MD} --remove detached 2>/dev/null || true`);
  await owner.sh(disconnectScript(path));
  await dropMirror(owner, ["mapper/local"]);
  await finished("withdraw", await start(provider, withdrawScript("disabled")), 30_000);
  assert.match(state, /faulty|gone/);
  assert.equal(wrote.code, 0);
});

test("9: fences in a loop against connects: what survives the unlink, and what a second one leaves (Z11)", async (t) => {
  const rounds = 24;
  const nqn = nqnOf("raced");
  // The other export keeps the port listening.
  await exportDevice(provider, address, "bystander", "/dev/mapper/e3");
  await exportDevice(provider, address, "raced", "/dev/mapper/e2");
  await provider.sh("mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug");
  // A connect or a deletion that meets a fence waits for the admin time-out, and every other connect of its host with it.
  await both((owner) => owner.sh("rm -f /tmp/enough; echo 1 >/sys/module/nvme_core/parameters/admin_timeout"));
  const options = (id: number): string =>
    `transport=tcp,traddr=${address},trsvcid=4420,nqn=${nqn},hostnqn=nqn.2025-12.experiment:host${id},hostid=1ab01ab0-0000-4000-8000-00000000000${id},ctrl_loss_tmo=-1,reconnect_delay=2147000,keep_alive_tmo=2,nr_io_queues=1,duplicate_connect`;
  const deleteAll = `for c in /sys/class/nvme/*; do [ "$(cat $c/subsysnqn 2>/dev/null)" != ${nqn} ] || [ "$(cat $c/state)" != live ] || (echo 1 >$c/delete_controller) & done`;
  const connects = await both((owner, i) =>
    start(
      owner,
      `n=0; longest=0; while [ ! -e /tmp/enough ]; do from=$(date +%s%3N); if echo '${options(i + 1)}' >/dev/nvme-fabrics; then n=$((n + 1)); ${deleteAll}; else sleep 0.05; fi; took=$(($(date +%s%3N) - from)); [ $took -lt $longest ] || longest=$took; done 2>/dev/null; echo $n $longest >/tmp/connects; echo 60 >/sys/module/nvme_core/parameters/admin_timeout`,
    ),
  );
  // As cut.ts does it: hosts off, then off the port; then count what is left, and once more after linking and unlinking.
  const counts = await provider.sh(
    `S=/sys/kernel/config/nvmet/subsystems/${nqn}; L=/sys/kernel/config/nvmet/ports/1/subsystems/${nqn}; D=/sys/kernel/debug/nvmet/${nqn}
count() { ls $D 2>/dev/null | grep -c '^ctrl' || true; }
before=0; survived=0; left=0
for i in $(seq ${rounds}); do
  sleep $((i % 2)).$((3 + i % 7))
  [ $(count) = 0 ] || before=$((before + 1))
  echo 0 >$S/attr_allow_any_host
  rm $L
  sleep 0.2
  [ $(count) = 0 ] || survived=$((survived + 1))
  ln -s $S $L
  rm $L
  sleep 0.2
  [ $(count) = 0 ] || left=$((left + 1))
  echo 1 >$S/attr_allow_any_host
  ln -s $S $L
done
echo $before $survived $left`,
    { timeoutMs: 180_000 },
  );
  await Promise.all(owners.map((owner) => owner.sh(": >/tmp/enough")));
  await Promise.all(connects.map((one) => finished("the connects", one, 60_000)));
  const made = await both(async (owner) => (await owner.sh("cat /tmp/connects")).split(" ").map(Number));
  const [connectedThen = 0, survived = 0, left = 0] = counts.split(" ").map(Number);
  t.diagnostic(
    `${rounds} fences against ${made.map((one) => one[0]).join(" + ")} connects (the longest ${Math.max(...made.map((one) => one[1]!))} ms with an admin time-out of 1 s): ${connectedThen} met a controller, ${survived} had one after the unlink, ${left} after linking and unlinking again`,
  );
  await finished("withdraw", await start(provider, withdrawScript("raced")), 30_000);
  await finished("withdraw", await start(provider, withdrawScript("bystander")), 30_000);
  assert.ok(connectedThen > 2, "engaged: controllers were there when it was fenced");
  assert.equal(left, 0, "none is left after the second unlink");
});

test("8: a provider powers off under load: silence, no error (Z12)", async (t) => {
  const [owner] = owners;
  const { path, member } = await mirrorOver("off");
  await shutDownUnderLoad(t, owner, provider, path, member);
});
