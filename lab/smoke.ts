/**
 * `tools/node lab/smoke.ts [KERNEL [KIND]]`: whether the lab itself works. Three guests; a mirror built by hand over NVMe/TCP
 * between n1 (local drive, owner) and n2 (provider); a cut that is felt and healed; a power cut that is survived;
 * a frozen guest; hung and failing drives; what a spawned program says; a machine that ends by itself. Prints how long each took.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Lab } from "./cluster.ts";
import { driveFaults } from "./guest/drives.ts";
import { GuestEndedError } from "./guest/end.ts";
import type { Guest } from "./guest/guest.ts";
import { readRunState } from "./guest/run-state.ts";
import { labPaths } from "./state.ts";

const GIB = 1024 ** 3;
const NQN = "nqn.2025-12.smoke:n2";
const logDir = mkdtempSync(join(tmpdir(), "lab-smoke-"));

async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  process.stdout.write(`smoke: ${what}: ${((performance.now() - start) / 1000).toFixed(2)} s\n`);
  return result;
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(`smoke: expected ${what}`);
}

async function until(what: string, limitMs: number, check: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + limitMs; Date.now() < end; await sleep(200)) if (await check()) return;
  throw new Error(`smoke: not within ${limitMs / 1000} s: ${what}`);
}

/** Exports a partition of n2's first drive to n1. */
async function exportFrom(provider: Guest, address: string): Promise<void> {
  await provider.sh(`
modprobe nvmet-tcp 2>/dev/null || : # built in or a module
[ -e /dev/nvme0n1p1 ] || { echo 'size=1GiB' | sfdisk -q /dev/nvme0n1; udevadm settle; }
cd /sys/kernel/config/nvmet
mkdir subsystems/${NQN}
echo 1 >subsystems/${NQN}/attr_allow_any_host
mkdir subsystems/${NQN}/namespaces/1
printf /dev/nvme0n1p1 >subsystems/${NQN}/namespaces/1/device_path
echo 1 >subsystems/${NQN}/namespaces/1/enable
mkdir ports/1
echo tcp >ports/1/addr_trtype; echo ipv4 >ports/1/addr_adrfam; echo ${address} >ports/1/addr_traddr; echo 4420 >ports/1/addr_trsvcid
ln -s /sys/kernel/config/nvmet/subsystems/${NQN} ports/1/subsystems/${NQN}`);
}

async function mirrorOn(owner: Guest, address: string): Promise<void> {
  const remote = await owner.sh(`
modprobe nvme-tcp 2>/dev/null || :
echo 'size=1GiB' | sfdisk -q /dev/nvme0n1; udevadm settle
nvme connect -t tcp -n ${NQN} -a ${address} -s 4420 --keep-alive-tmo=2 --reconnect-delay=1 --ctrl-loss-tmo=600 >/dev/null
udevadm settle
for c in /sys/class/nvme/nvme*; do [ "$(cat $c/transport)" != tcp ] || ls -d $c/nvme*n* | sed 's|.*/||; s|c[0-9]*n|n|'; done`);
  await owner.sh(`
mdadm --create /dev/md/smoke --run --level=1 --metadata=1.2 --bitmap=internal --assume-clean --raid-devices=2 /dev/nvme0n1p1 /dev/${remote} 2>&1
mkfs.xfs -q /dev/md/smoke
mkdir -p /mnt/smoke
mount /dev/md/smoke /mnt/smoke
echo kept >/mnt/smoke/file
sync`);
}

async function cutAndHeal(lab: Lab, owner: Guest): Promise<void> {
  await lab.net.cut("n1", "n2");
  const writer = owner.exec(["sh", "-c", "echo more >>/mnt/smoke/file && sync"], { timeoutMs: 60_000 });
  await until("the cut is felt", 20_000, async () => (await owner.sh("cat /sys/class/nvme/nvme*/state")).includes("connecting"));
  expect((await lab.net.dropped()) > 0, "dropped packets");
  await lab.net.heal();
  await writer;
}

async function oneWay(lab: Lab): Promise<void> {
  const [n1, n3] = [lab.guest("n1"), lab.guest("n3")];
  const probe = (guest: Guest, to: string): Promise<boolean> => reaches(guest, lab.net.addresses(to).ipv6);
  expect(await probe(n1, "n3"), "n1 reaches n3 over IPv6");
  await lab.net.cut("n1", "host");
  expect(!(await probe(n1, "host")), "n1 cut off from the host");
  expect(await probe(n3, "host"), "n3 not cut off from the host");
  expect(await probe(n1, "n3"), "n1 still reaches n3");
  await lab.net.heal();
  expect(await probe(n1, "host"), "n1 reaches the host again");
  await lab.net.cut("n1", "n3", { oneWay: true });
  await n3.sh("ip -6 neigh flush dev eth0; ip neigh flush dev eth0");
  expect(!(await probe(n3, "n1")), "no answer through a one-way cut");
  await lab.net.heal();
}

/** A TCP connection that is refused has reached its end; one that is dropped has not. */
async function reaches(guest: Guest, address: string): Promise<boolean> {
  const script = `const s=require("net").connect({host:"${address}",port:9});
s.on("connect",()=>process.exit(0));s.on("error",(e)=>process.exit(e.code==="ECONNREFUSED"?0:1));setTimeout(()=>process.exit(2),2500)`;
  return (await guest.exec(["node", "-e", script], { okCodes: "any" })).code === 0;
}

async function drives(guest: Guest): Promise<void> {
  const write = (path: string) => guest.exec(["dd", "if=/dev/zero", `of=${path}`, "bs=4096", "count=1", "oflag=direct"], { okCodes: "any" });
  expect((await write("/dev/nvme1n1")).code === 0, "a healthy drive takes a write");
  await driveFaults.fail(guest, 1);
  expect((await write("/dev/nvme1n1")).code !== 0, "a failing drive refuses a write");
  await driveFaults.heal(guest, 1);
  await driveFaults.hang(guest, 1);
  const hanging = write("/dev/nvme1n1");
  const first = await Promise.race([hanging.then(() => "done"), sleep(1500, "hangs")]);
  expect(first === "hangs", "a hung drive does not answer");
  await driveFaults.heal(guest, 1);
  expect((await hanging).code === 0, "the request is answered after the drive is healed");
  await driveFaults.pull(guest, 1);
  expect((await guest.sh("[ -e /dev/nvme1n1 ] && echo there || echo gone")) === "gone", "a pulled drive is gone");
}

async function programs(guest: Guest): Promise<void> {
  const logPath = join(logDir, "echo.log");
  const server = `require("net").createServer((s)=>s.pipe(s)).listen("/run/echo.sock",()=>console.log("listening"))`;
  const running = await guest.spawn(["node", "-e", server], { logPath });
  await until("the program's output", 10_000, async () => existsSync(logPath) && readFileSync(logPath, "utf8").includes("listening"));
  const path = await guest.forwardUnix("/run/echo.sock");
  const echoed = await new Promise<string>((resolve, reject) => {
    const socket = createConnection(path, () => socket.write("hello"));
    socket.on("data", (data) => resolve(data.toString()));
    socket.on("error", reject);
  });
  expect(echoed === "hello", "an echo through the forwarded socket");
  running.kill("SIGKILL");
  expect((await running.exited).signal === "SIGKILL", "the program's end by SIGKILL");
  await guest.writeFile("/tmp/x", Buffer.alloc(300_000, 7));
  expect((await guest.readFile("/tmp/x")).equals(Buffer.alloc(300_000, 7)), "the file's bytes back");
}

const nodes = ["n1", "n2", "n3"].map((name) => ({
  name,
  kind: process.argv[3] === "emulated" ? ("emulated" as const) : ("process" as const),
  drives: [{ size: 4 * GIB }, { size: GIB, sectorSize: 4096 as const, writeZeroes: false }],
}));
const lab = await step("three guests up", () => Lab.create({ nodes, logDir, kernel: process.argv[2] ?? "6.12" }));
const [n1, n2, n3] = [lab.guest("n1"), lab.guest("n2"), lab.guest("n3")];
const address = lab.net.addresses("n2").ipv4;
process.stdout.write(`smoke: kernel ${await n1.sh("uname -r")}\n`);
await step("a spawn of true", async () => void (await n1.exec(["true"])));
expect((await n1.sh("cat /sys/block/nvme[01]n1/queue/logical_block_size")) === "512\n4096", "a 512 and a 4096 byte drive");
expect(!(await n1.sh("cat /sys/block/nvme0n1/queue/write_zeroes_max_bytes")).startsWith("0"), "Write Zeroes on drive 0");
expect((await n1.sh("cat /sys/block/nvme1n1/queue/write_zeroes_max_bytes")) === "0", "no Write Zeroes on drive 1");
await step("programs, sockets, files", () => programs(n3));
await step("mirror over NVMe/TCP with XFS", async () => {
  await exportFrom(n2, address);
  await mirrorOn(n1, address);
});
await step("cut and heal, write goes through", () => cutAndHeal(lab, n1));
await step("one-way cut and cut to the host", () => oneWay(lab));
await step("freeze 3 s and thaw", async () => {
  await n2.freeze();
  await sleep(3000);
  await n2.thaw();
  await n2.exec(["true"]);
});
await step("drive faults", () => drives(n3));
await step("power off", () => n1.powerOff());
await step("power on", () => n1.powerOn());
await step("the mirror's data is there", async () => {
  await n1.sh("mdadm --stop --scan || true; mdadm --assemble --run /dev/md/smoke /dev/nvme0n1p1 2>&1; mkdir -p /mnt/smoke; mount /dev/md/smoke /mnt/smoke");
  expect((await n1.sh("cat /mnt/smoke/file")) === "kept\nmore", "both records");
});
await step("a machine that ends by itself is told", async () => {
  const told = new Promise((resolve) => process.once("unhandledRejection", resolve));
  process.kill(readRunState(labPaths(lab.id).runState("n3")).process!.pid, "SIGKILL");
  const [error, asked] = [await Promise.race([told, sleep(10_000)]), await n3.exec(["true"]).catch((e: unknown) => e)];
  expect(error instanceof GuestEndedError && error.message.startsWith("n3: its machine ended with SIGKILL, and nobody had switched it off\n"), `not ${String(error)}`);
  expect(asked === error, `whoever asks it is told the same, not ${String(asked)}`);
});
await step("taken down", () => lab.destroy());
rmSync(logDir, { recursive: true });
process.stdout.write("smoke: passed\n");
