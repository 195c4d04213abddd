/**
 * An owner whose writes are held goes down by order, on a real kernel (experiment 11): reboot(2) waits for ever for MD's writes, unless the guard ends them once their users are killed (decision 0016).
 * @minutes 10
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { exportNQN, volumeDeviceName, volumeDeviceUUID } from "../../src/api/names.ts";
import { boundsOf } from "../../src/core/bounds.ts";
import type { Lab } from "../../lab/cluster.ts";
import type { Guest } from "../../lab/guest/guest.ts";
import { bundle } from "../../tools/bundle.ts";
import { inOrder } from "../in-order.ts";
import { HostNode } from "./lab-node.ts";
import { createRawLab } from "./raw-lab.ts";
import { connect, exportDevice, kernelName, makeMirror, MD, MEMBER_MIB, memberState, nqnOf, prepare, slice, start, stateOf, untilLost, type Path } from "./raw.ts";

/** Longer than systemd-shutdown's stand-in waits for anything. */
const BOUND_MS = 45_000;
const VOLUME = volumeDeviceName("v");
let lab: Lab;
let provider: Guest;
let address: string;
const test = inOrder();
const remote = (index: number): string => exportNQN({ partitionUUID: `22222222-aaaa-4bbb-8ccc-00000000000${index}`, epoch: 1, attach: 1 });

before(async () => {
  lab = await createRawLab([{ name: "n3" }, { name: "n4" }]);
  const file = join(mkdtempSync(join(tmpdir(), "shutdown-lab-")), "program.mjs");
  await bundle("test/host/program.ts", file);
  lab.share("program.mjs", file);
  provider = lab.guest("n2");
  address = lab.net.addresses("n2").ipv4;
});
after(async () => lab.destroy());

/** Process 1 has another name from now on: the sign that the guard looks for. */
const SIGN = "echo systemd-shutdow >/tmp/comm; mount --bind /tmp/comm /proc/1/comm";

/**
 * What systemd-shutdown does, with shorter times: SIGTERM, SIGKILL for all but titles with @, a while for what does not die, unmount,
 * reboot(2). It starts nothing of its own before the unmount. The lab's process 1 keeps a sleep alive: that becomes one of its own.
 */
const GOING_DOWN = `${SIGN}
mkfifo /tmp/never; exec 3<>/tmp/never
printf '#!/bin/sh\nread x <>/tmp/never\n' >/tmp/sleep; chmod +x /tmp/sleep; mount --bind /tmp/sleep $(command -v sleep)
pause() { read -t $1 -u 3; }
say() { echo "<4>down: $*" >/dev/kmsg; }
everybody() {
  for d in /proc/[0-9]*; do
    p=\${d#/proc/}; a=
    [ $p != 1 ] && [ $p != $$ ] && ! [ $d/exe -ef /proc/1/exe ] && IFS= read -r -d '' a <$d/cmdline
    case $a in ''|@*) ;; *) $1 $p ;; esac
  done 2>/dev/null
}
term() { kill -TERM $1; }
kill_it() { kill -KILL $1; }
count() { left=$((left + 1)); }
say "going down"
everybody term; pause 2
everybody kill_it
say killed
for i in {1..40}; do left=0; everybody count; [ $left = 0 ] && break; pause 0.5; done
say "$left left"
pause 1
for i in 1 2 3; do timeout -s KILL 3 umount /mnt/v && say unmounted && break; done
say reboot
busybox poweroff -n -f`;

interface Owner {
  guest: Guest;
  path: Path;
}

/** A mirror of a local member and one on n2, the volume device over it, a file system, and writers that fill it with requests. */
async function ownerUp(name: string, index: number): Promise<Owner> {
  const guest = lab.guest(name);
  await slice(provider, `r${index}`, index);
  await exportDevice(provider, address, remote(index), `/dev/mapper/r${index}`);
  await slice(guest, "local", 0);
  const path = await connect(guest, address, remote(index));
  await makeMirror(guest, ["mapper/local"], [path.device]);
  await guest.sh(`dmsetup create ${VOLUME} --uuid ${volumeDeviceUUID(name)} --table "0 $(blockdev --getsz /dev/${MD}) linear /dev/${MD} 0"
mkfs.xfs -q -K --unsupported /dev/mapper/${VOLUME}; mkdir -p /mnt/v; mount /dev/mapper/${VOLUME} /mnt/v; sync -f /mnt/v`);
  await start(guest, "for n in 1 2 3 4; do (while dd if=/dev/zero of=/mnt/v/f$n bs=64k count=4 oflag=direct conv=notrunc,fsync status=none; do :; done) & done; wait");
  await sleep(1_000);
  return { guest, path };
}

async function arm(name: string, controller: string, nqn: string, graceMs: number): Promise<void> {
  await new HostNode(lab, name).apply({ kind: "GuardVolume", name: VOLUME, connections: [{ controller, nqn }], provenMs: 0, graceMs });
}

async function held({ guest, path }: Owner): Promise<void> {
  await lab.net.cut(guest.name, "n2");
  await untilLost(guest, [path.controller]);
  await sleep(1_000);
  assert.ok(Number(await guest.sh("grep -sl '(dd) D' /proc/[0-9]*/stat | wc -l")) > 0, "engaged: writes are held");
}

/** Milliseconds until the machine is off; null: not within the bound. */
async function goDown(guest: Guest): Promise<{ offMs: number | null; said: string }> {
  await guest.writeFile("/tmp/down", GOING_DOWN);
  await guest.sh("echo 7 >/proc/sys/kernel/printk");
  await guest.spawn(["bash", "-c", "exec -a @down bash /tmp/down </dev/null >/dev/null 2>&1"]);
  const from = performance.now();
  while (guest.state === "on" && performance.now() - from < BOUND_MS) await sleep(100);
  const said = readFileSync(guest.consolePath, "utf8")
    .split("\n")
    .filter((line) => /down: |meshstor-guard: /.test(line));
  return { offMs: guest.state === "on" ? null : Math.round(performance.now() - from), said: said.map((line) => line.trim()).join("\n") };
}

test("the exports", async (t) => {
  await Promise.all(["n1", "n2", "n3", "n4"].map((name) => prepare(lab.guest(name))));
  t.diagnostic(`kernel ${await provider.sh("uname -r")}`);
});

test("11: writes are held and the owner goes down by order: off within the bound", async (t) => {
  const owner = await ownerUp("n1", 1);
  await arm("n1", owner.path.controller, remote(1), boundsOf().freshGraceMs);
  await held(owner);
  // The volume is suspended by then, above what is held: new requests wait for a resume.
  await owner.guest.sh("for i in $(seq 300); do dmesg | grep -q 'serves nothing any more' && exit 0; sleep 0.1; done; exit 1");
  await start(owner.guest, "dd if=/mnt/v/f1 of=/dev/null bs=4k count=1 iflag=direct status=none");
  const { offMs, said } = await goDown(owner.guest);
  t.diagnostic(`off after ${offMs} ms\n${said}`);
  assert.match(said, /meshstor-guard: users are killed: what is held ends/);
  assert.notEqual(offMs, null);
});

test("11: a provider goes down by order under load: its exports are unlinked, the owner hears silence, no error (Z12)", async (t) => {
  const { guest, path } = await ownerUp("n4", 3);
  const member = await kernelName(guest, path.device);
  await provider.sh(`dmsetup create ${VOLUME} --uuid ${volumeDeviceUUID("n2")} --table "0 ${MEMBER_MIB} error"`);
  await arm("n2", "none", "none", 1e9);
  await slice(provider, "other", 4);
  await exportDevice(provider, address, "other", "/dev/mapper/other");
  await provider.sh(SIGN);
  const from = performance.now();
  await untilLost(guest, [path.controller]);
  const lostMs = Math.round(performance.now() - from);
  await sleep(2_000);
  const linked = await provider.sh("ls /sys/kernel/config/nvmet/ports/1/subsystems");
  const state = await memberState(guest, member);
  t.diagnostic(`lost after ${lostMs} ms, member ${state}, ${await stateOf(guest, path.controller)}; still linked: ${linked}`);
  assert.equal(linked, nqnOf("other"), "only what is ours is unlinked");
  assert.ok(/in_sync/.test(state) && !/faulty|write_error/.test(state), `MD was told nothing (member ${state})`);
  assert.ok(Number(await guest.sh("grep -sl '(dd) D' /proc/[0-9]*/stat | wc -l")) > 0, "writes are held");
});

test("11: the control, without the guard: reboot(2) never returns", async (t) => {
  const owner = await ownerUp("n3", 2);
  await held(owner);
  const { offMs, said } = await goDown(owner.guest);
  t.diagnostic(`off after ${offMs} ms\n${said}`);
  assert.match(said, /down: reboot/);
  assert.equal(offMs, null);
});
