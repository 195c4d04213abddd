/**
 * What MD does while a member is held, on a real kernel (experiments 2, 3 and 4): what can be read, what hangs, what a disconnect alone does, and what local reads feel.
 * @minutes 8
 */
import assert from "node:assert/strict";
import { after, before, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Lab } from "../../lab/cluster.ts";
import { driveFaults } from "../../lab/guest/drives.ts";
import type { Guest } from "../../lab/guest/guest.ts";
import { inOrder } from "../in-order.ts";
import { createRawLab } from "./raw-lab.ts";
import {
  connect,
  DATA_MIB,
  dropMirror,
  exportDevice,
  finished,
  kernelName,
  makeMirror,
  MD,
  memberState,
  prepare,
  slice,
  start,
  stateOf,
  untilInSync,
  untilLost,
  withdrawScript,
  type Path,
} from "./raw.ts";

let lab: Lab;
let owner: Guest;
let provider: Guest;
let address: string;
const test = inOrder();

before(async () => {
  lab = await createRawLab();
  owner = lab.guest("n1");
  provider = lab.guest("n2");
  address = lab.net.addresses("n2").ipv4;
});
after(async () => lab.destroy());

/** Every export has a name of its own: a connection is used once. */
let exportsMade = 0;
const sources = new Map<string, string>();
async function attach(source: string): Promise<{ name: string; path: Path }> {
  exportsMade += 1;
  const name = `${source}-${exportsMade}`;
  await exportDevice(provider, address, name, `/dev/mapper/${source}`);
  sources.set(name, source);
  return { name, path: await connect(owner, address, name) };
}
const disconnectScript = (path: Path): string => `nvme disconnect --device=${path.controller}`;
const fail = (device: string): string => `mdadm --manage /dev/${MD} --fail /dev/${device}`;
const WRITE = (mib: number): string => `dd if=/dev/urandom of=/dev/${MD} bs=64k count=1 seek=$((${mib} * 16)) oflag=direct conv=notrunc status=none`;
const READ = `dd if=/dev/${MD} of=/dev/null bs=4k count=1 skip=$((RANDOM % 10000)) iflag=direct status=none`;

async function cut(): Promise<void> {
  await lab.net.cut("n1", "n2");
}
/** Ends a cut that was seen to drop packets. */
async function healed(): Promise<void> {
  assert.ok((await lab.net.dropped()) > 0, "engaged: packets were dropped");
  await lab.net.heal();
}
/** Everything of an experiment goes, held or not. */
async function cleanUp(members: readonly string[], paths: readonly { name: string; path: Path }[]): Promise<void> {
  await lab.net.heal();
  for (const { path } of paths) if ((await stateOf(owner, path.controller)) !== "gone") await finished("disconnect", await start(owner, disconnectScript(path)), 75_000);
  await dropMirror(owner, members);
  for (const { name } of paths) await provider.sh(withdrawScript(name));
}

/** Attributes that the node program polls (observe-dm.ts, md/sysfs.ts), and what others look at. */
const POLLED = (member: string): string[] => [
  ...["array_state", "raid_disks", "sync_action", "degraded", "sync_completed", "sync_speed", "metadata_version", "bitmap/location"].map((a) => `cat /sys/block/${MD}/md/${a}`),
  `cat /sys/block/${MD}/md/dev-${member}/state`,
  `cat /sys/block/${MD}/md/dev-${member}/slot`,
];
const OTHERS = [READ, "cat /proc/mdstat", `mdadm --detail /dev/${MD}`];

/** Each of them by itself, with a limit: milliseconds, or "hangs". */
async function timed(scripts: readonly string[], limitMs: number): Promise<Map<string, number | "hangs">> {
  const result = new Map<string, number | "hangs">();
  for (const script of scripts) {
    const end = await (await start(owner, `${script} >/dev/null`)).within(limitMs);
    result.set(script.replace(/^dd.*/, "local read"), end === null ? "hangs" : end.ms);
  }
  return result;
}
const hanging = (seen: ReadonlyMap<string, number | "hangs">): string[] => [...seen].filter(([, ms]) => ms === "hangs").map(([what]) => what);
const slowest = (seen: ReadonlyMap<string, number | "hangs">): number => Math.max(...[...seen.values()].filter((ms) => ms !== "hangs"));

test("the exports", async (t) => {
  await Promise.all([prepare(owner), prepare(provider)]);
  await slice(owner, "local", 0);
  await slice(owner, "spare", 1);
  await slice(provider, "r1", 0);
  await slice(provider, "r2", 1);
  t.diagnostic(`kernel ${await owner.sh("uname -r")}`);
});

test("2: an idle mirror, a cut, a write: the superblock write is held; sysfs `faulty` and --stop hang, the ioctl does not, what we poll answers (Z1, Z4)", async (t) => {
  const remote = await attach("r1");
  await makeMirror(owner, ["mapper/local"], [remote.path.device]);
  const member = await kernelName(owner, remote.path.device);
  await owner.sh(`for i in $(seq 50); do [ $(cat /sys/block/${MD}/md/array_state) = clean ] && exit 0; sleep 0.1; done; exit 1`);
  await cut();
  const writer = await start(owner, WRITE(1));
  const lostMs = await untilLost(owner, [remote.path.controller]);
  assert.equal(await writer.within(0), null, "engaged: the write is held");
  const polled = await timed(POLLED(member), 3_000);
  const others = await timed(OTHERS, 3_000);
  const faulty = await start(owner, `echo faulty >/sys/block/${MD}/md/dev-${member}/state`);
  const stop = await start(owner, `mdadm --stop /dev/${MD} 2>/tmp/stop`);
  const early = [await faulty.within(3_000), await stop.within(1_000)];
  const again = await timed([...POLLED(member), ...OTHERS], 3_000);
  const byIoctl = await finished("mdadm --fail", await start(owner, fail(remote.path.device)), 5_000);
  const heldAfterFail = (await writer.within(1_000)) === null;
  const disconnected = await finished("disconnect", await start(owner, disconnectScript(remote.path)), 10_000);
  const wrote = await finished("the write", writer, 10_000);
  const late = [await finished("faulty", faulty, 10_000), await finished("stop", stop, 10_000)];
  t.diagnostic(`lost after ${Math.round(lostMs)} ms; polled attributes: slowest ${slowest(polled)} ms, hanging: ${hanging(polled).join("; ") || "none"}`);
  t.diagnostic(`others: ${[...others].map(([what, ms]) => `${what}: ${ms}`).join("; ")}`);
  t.diagnostic(`with \`faulty\` and --stop waiting: slowest ${slowest(again)} ms, hanging: ${hanging(again).join("; ") || "none"}`);
  t.diagnostic(
    `sysfs faulty: ${early[0] === null ? `hangs, ended after ${late[0]!.ms} ms` : `${early[0]!.ms} ms`}; --stop: ${early[1] === null ? `hangs, ended after ${late[1]!.ms} ms` : `${early[1]!.ms} ms`} (code ${late[1]!.code}: ${await owner.sh("cat /tmp/stop")})`,
  );
  t.diagnostic(`mdadm --fail ${byIoctl.ms} ms; write still held after it: ${heldAfterFail}; disconnect ${disconnected.ms} ms; the write took ${wrote.ms} ms (code ${wrote.code})`);
  await healed();
  await cleanUp(["mapper/local"], [remote]);
  assert.deepEqual(hanging(polled), []);
  assert.deepEqual(
    hanging(again).filter((what) => what.startsWith("cat /sys") || what === "local read"),
    [],
  );
  assert.equal(early[0], null, "sysfs `faulty` waits for the array's lock, which the superblock write holds");
  assert.deepEqual([byIoctl.code, heldAfterFail, wrote.code], [0, true, 0]);
});

test("2: a busy mirror: its bitmap is written back to a held member; /proc/mdstat then waits, what we poll does not (Z4)", async (t) => {
  const remote = await attach("r1");
  await makeMirror(owner, ["mapper/local"], [remote.path.device]);
  const member = await kernelName(owner, remote.path.device);
  // Bits that the bitmap's daemon clears 5 to 10 s later; a write that is held keeps the array active.
  await owner.sh([4, 8, 12, 16].map(WRITE).join("\n"));
  await cut();
  const writer = await start(owner, WRITE(4));
  await untilLost(owner, [remote.path.controller]);
  await sleep(11_000);
  assert.equal(await writer.within(0), null, "engaged: the write is held");
  const polled = await timed(POLLED(member), 3_000);
  const others = await timed(OTHERS, 3_000);
  const byIoctl = await finished("mdadm --fail", await start(owner, fail(remote.path.device)), 5_000);
  const disconnected = await finished("disconnect", await start(owner, disconnectScript(remote.path)), 10_000);
  const wrote = await finished("the write", writer, 10_000);
  t.diagnostic(
    `polled attributes: slowest ${slowest(polled)} ms, hanging: ${hanging(polled).join("; ") || "none"}; others: ${[...others].map(([what, ms]) => `${what}: ${ms}`).join("; ")}`,
  );
  t.diagnostic(`mdadm --fail ${byIoctl.ms} ms, disconnect ${disconnected.ms} ms`);
  await healed();
  await cleanUp(["mapper/local"], [remote]);
  assert.deepEqual(hanging(polled), []);
  assert.ok(!hanging(others).includes("local read"));
  assert.deepEqual([byIoctl.code, wrote.code], [0, 0]);
});

/** Compares what both members hold of the first MiBs of data. */
async function differing(a: string, b: string, mib: number): Promise<boolean> {
  const sum = (device: string): string => `$(dd if=/dev/${device} bs=1M skip=${DATA_MIB} count=${mib} iflag=direct status=none | md5sum)`;
  return (await owner.sh(`[ "${sum(a)}" = "${sum(b)}" ] && echo same || echo differ`)) === "differ";
}

interface Outstanding {
  what: string;
  script: string | null;
  failFirst: boolean;
  /** In the mirror after the disconnect alone. */
  stays: boolean;
}
const OUTSTANDING: readonly Outstanding[] = [
  { what: "nothing", script: null, failFirst: false, stays: true },
  { what: "only a flush", script: `sync /dev/${MD}`, failFirst: false, stays: true },
  { what: "only a discard", script: `blkdiscard --offset 0 --length 4M /dev/${MD}`, failFirst: false, stays: true },
  { what: "only a discard, failed before", script: `blkdiscard --offset 0 --length 4M /dev/${MD}`, failFirst: true, stays: false },
];
for (const { what, script, failFirst, stays } of OUTSTANDING) {
  test(`3: ${what} is outstanding, ${failFirst ? "fail and then disconnect" : "disconnect alone"}: the member ${stays ? "stays in sync for MD" : "is faulty"} (Z1)`, async (t) => {
    const remote = await attach("r1");
    await makeMirror(owner, ["mapper/local"], [remote.path.device]);
    const member = await kernelName(owner, remote.path.device);
    // No superblock and no bitmap write of MD's own shall be under way.
    await owner.sh(`cd /sys/block/${MD}/md; echo 100 >safe_mode_delay; echo 100 >bitmap/time_base
dd if=/dev/urandom of=/dev/${MD} bs=1M count=8 oflag=direct conv=notrunc,fsync status=none`);
    assert.equal(await differing("mapper/local", remote.path.device, 8), false);
    await cut();
    // A flush that is under way when the path is lost is another matter: connections.lab.ts.
    await untilLost(owner, [remote.path.controller]);
    const request = script === null ? null : await start(owner, script);
    if (request) assert.equal(await request.within(1_000), null, "engaged: it is held");
    if (failFirst) await finished("mdadm --fail", await start(owner, fail(remote.path.device)), 5_000);
    const disconnected = await finished("disconnect", await start(owner, disconnectScript(remote.path)), 10_000);
    const heard = request === null ? null : await finished(what, request, 10_000);
    await sleep(500);
    const afterwards = await memberState(owner, member);
    const written = await finished("a later write", await start(owner, WRITE(40)), 10_000);
    const atWrite = await memberState(owner, member);
    await healed();
    // Back by the bitmap, as a bare re-add does it: the former path has nothing of its own.
    await owner.sh(`mdadm --manage /dev/${MD} --fail detached || true; mdadm --manage /dev/${MD} --remove detached || true`);
    await provider.sh(withdrawScript(remote.name));
    const next = await attach("r1");
    await owner.sh(`mdadm --manage /dev/${MD} --write-mostly --re-add /dev/${next.path.device} 2>&1`);
    await untilInSync(owner);
    const differ = await differing("mapper/local", next.path.device, 4);
    const elsewhere = await owner.sh(
      `for d in mapper/local ${next.path.device}; do (dd if=/dev/$d bs=1M skip=${DATA_MIB + 4} count=4 iflag=direct status=none; dd if=/dev/$d bs=64k skip=${(DATA_MIB + 40) * 16} count=1 iflag=direct status=none) | md5sum; done | sort -u | wc -l`,
    );
    t.diagnostic(
      `disconnect ${disconnected.ms} ms; heard: ${heard === null ? "-" : `code ${heard.code}`}; member after it: ${afterwards}; after a write (code ${written.code}): ${atWrite}; discarded range after the re-add ${differ ? "differs" : "is equal"}`,
    );
    await cleanUp(["mapper/local", next.path.device], [next]);
    assert.equal(/in_sync/.test(afterwards) && !/faulty/.test(afterwards), stays);
    assert.equal(written.code, 0);
    assert.match(atWrite, /faulty|gone/);
    assert.equal(elsewhere, "1", "what was written is equal");
    if (heard !== null) assert.equal(heard.code, 0, "success is told");
  });
}

interface Membership {
  what: string;
  script: string;
  /** Local reads wait with it. */
  stopsReads: boolean;
}
const MEMBERSHIP: readonly Membership[] = [
  { what: "removing the one that was released", script: `mdadm --manage /dev/${MD} --remove failed`, stopsReads: true },
  { what: "adding a spare, which starts a recovery", script: `mdadm --manage /dev/${MD} --add /dev/mapper/spare`, stopsReads: false },
  { what: "growing by a slot", script: `mdadm --grow /dev/${MD} --raid-devices=4 --force`, stopsReads: false },
];
const READING = `rm -f /tmp/reads; while ${READ}; do date +%s%3N >>/tmp/reads; [ ! -e /tmp/enough ] || exit 0; done`;

/** Longest time without a read from the mirror so far, in ms, counted from `fromMs` of the guest's clock. */
async function longestGap(fromMs: number): Promise<number> {
  const [now = 0, ...reads] = (await owner.sh("date +%s%3N; cat /tmp/reads")).split("\n").map(Number);
  const seen = [fromMs, ...reads.filter((at) => at >= fromMs), now];
  return Math.max(...seen.slice(1).map((at, i) => at - seen[i]!));
}
const clock = async (): Promise<number> => Number(await owner.sh("date +%s%3N"));

/** Three copies, two of them held with a write, one released; then `operation`, with the other one still held. */
async function withOneHeld(t: TestContext, { what, script }: Membership): Promise<{ blocked: boolean; gapBefore: number; gapDuring: number; gapReleased: number }> {
  const [a, b] = [await attach("r1"), await attach("r2")];
  await makeMirror(owner, ["mapper/local"], [a.path.device, b.path.device]);
  await cut();
  const writer = await start(owner, WRITE(1));
  await untilLost(owner, [a.path.controller, b.path.controller]);
  assert.equal(await writer.within(0), null, "engaged: the write is held");
  await owner.sh("rm -f /tmp/enough");
  const reader = await start(owner, READING);
  await sleep(1_500);
  const first = await clock();
  await finished("mdadm --fail", await start(owner, fail(a.path.device)), 5_000);
  await finished("disconnect", await start(owner, disconnectScript(a.path)), 10_000);
  await sleep(1_500);
  const gapBefore = await longestGap(first);
  assert.equal(await writer.within(0), null, "one is held yet");
  const second = await clock();
  const operation = await start(owner, `${script} 2>/tmp/operation`);
  const early = await operation.within(4_000);
  const gapDuring = await longestGap(second);
  const third = await clock();
  await finished("mdadm --fail of the other", await start(owner, fail(b.path.device)), 5_000);
  await finished("disconnect of the other", await start(owner, disconnectScript(b.path)), 10_000);
  const done = await finished(what, operation, 20_000);
  const wrote = await finished("the write", writer, 10_000);
  await sleep(500);
  const gapReleased = await longestGap(third);
  await owner.sh(": >/tmp/enough");
  await finished("the reader", reader, 10_000);
  t.diagnostic(
    `${what}: ${early === null ? "waits for the held member" : `${early.ms} ms`}, code ${done.code} after ${done.ms} ms (${await owner.sh("tr '\\n' ' ' </tmp/operation")}); longest gap of local reads: ${gapBefore} ms while one was released, ${gapDuring} ms during it, ${gapReleased} ms when the other was released`,
  );
  assert.equal(wrote.code, 0);
  await healed();
  await cleanUp(["mapper/local", "mapper/spare"], [a, b]);
  return { blocked: early === null, gapBefore, gapDuring, gapReleased };
}
for (const membership of MEMBERSHIP) {
  test(`4: three copies, two held, one released: ${membership.what} waits for the other${membership.stopsReads ? ", and local reads with it" : ""} (Z3)`, async (t) => {
    const seen = await withOneHeld(t, membership);
    assert.ok(seen.gapBefore < 1_500, "releasing one does not stop local reads");
    assert.ok(seen.blocked, "it waits for the held member");
    assert.equal(seen.gapDuring > 3_000, membership.stopsReads, `local reads: longest gap ${seen.gapDuring} ms in 4 s`);
  });
}

test("10: the local drive hangs: failing its member does not wait for it; what is in the drive, and with it the volume's writes, does (Z21)", async (t) => {
  const remote = await attach("r1");
  await makeMirror(owner, ["mapper/local"], [remote.path.device]);
  const local = await kernelName(owner, "mapper/local");
  await owner.sh(`for i in $(seq 50); do [ $(cat /sys/block/${MD}/md/array_state) = clean ] && exit 0; sleep 0.1; done; exit 1`);
  await driveFaults.hang(owner, 0);
  const [oldRead, write] = [await start(owner, READ), await start(owner, WRITE(1))];
  await sleep(1_000);
  assert.deepEqual([await oldRead.within(0), await write.within(0)], [null, null], "engaged: both wait for the drive");
  const byIoctl = await finished("mdadm --fail", await start(owner, fail("mapper/local")), 5_000);
  const reading = await start(owner, READ);
  const newRead = await reading.within(5_000);
  const later = [await oldRead.within(3_000), await write.within(0)];
  const flags = await memberState(owner, local);
  await driveFaults.heal(owner, 0);
  const ended = [await finished("the old read", oldRead, 15_000), await finished("the write", write, 15_000)];
  t.diagnostic(
    `mdadm --fail ${byIoctl.ms} ms (${flags}), a new read ${newRead === null ? "waits" : `${newRead.ms} ms`}; 3 s after it the old read ${later[0] === null ? "waits" : "has ended"}, the write ${later[1] === null ? "waits" : "has ended"}; ended with codes ${ended.map((end) => end.code).join(" and ")} once the drive answered`,
  );
  await finished("the new read", reading, 15_000);
  await owner.sh(`mdadm --manage /dev/${MD} --remove /dev/mapper/local || true`);
  await cleanUp(["mapper/local"], [remote]);
  assert.equal(byIoctl.code, 0, "the ioctl waits for nobody");
  assert.deepEqual(later, [null, null]);
  assert.deepEqual(
    ended.map((end) => end.code),
    [0, 0],
  );
});
