/** What the kernel experiments are made of: exports, connections and a mirror by raw commands, and commands that may hang. */
import { connectArguments, IO_TIMEOUT_MS } from "../../src/host/nvme/connect.ts";
import type { Guest } from "../../lab/guest/guest.ts";

/** Size of an export or local member, and where MD's data begins in it. */
export const MEMBER_MIB = 256;
export const DATA_MIB = 8;
/** The mirror of an experiment. */
export const MD = "md77";
const UID = "99999999-0000-4000-8000-0000000000aa";

/** A name that is an NQN stays as it is. */
export const nqnOf = (name: string): string => (name.startsWith("nqn.") ? name : `nqn.2025-12.experiment:${name}`);

/** Keeps udev and mdadm from acting by themselves, and bad-block logs off (I1); once for each guest. */
export async function prepare(guest: Guest): Promise<void> {
  await guest.sh(`mkdir -p /run/udev/rules.d /etc/mdadm/mdadm.conf.d
: >/run/udev/rules.d/64-md-raid-assembly.rules
udevadm control --reload
echo 'CREATE bbl=no' >/etc/mdadm/mdadm.conf.d/experiment.conf`);
}

/** A slice of the guest's first NVMe drive: the device-mapper device NAME. `index` says which part of the drive. */
export async function slice(guest: Guest, name: string, index: number): Promise<void> {
  await guest.sh(`drive=$(lsblk -dno NAME,SERIAL | awk '/LAB-.*-0/ { print $1; exit }')
dmsetup create ${name} --table "0 ${MEMBER_MIB * 2048} linear /dev/$drive $((${64 + index * MEMBER_MIB} * 2048))"`);
}

/** Exports a device to everybody. */
export async function exportDevice(guest: Guest, address: string, name: string, device: string): Promise<void> {
  await guest.sh(`cd /sys/kernel/config/nvmet
mkdir subsystems/${nqnOf(name)}
echo 1 >subsystems/${nqnOf(name)}/attr_allow_any_host
mkdir subsystems/${nqnOf(name)}/namespaces/1
cd subsystems/${nqnOf(name)}/namespaces/1
printf %s ${device} >device_path
cat /proc/sys/kernel/random/uuid >device_uuid
echo 1 >enable
cd /sys/kernel/config/nvmet
[ -d ports/1 ] || { mkdir ports/1; cd ports/1; echo tcp >addr_trtype; echo ipv4 >addr_adrfam; echo ${address} >addr_traddr; echo 4420 >addr_trsvcid; cd ../..; }
ln -s /sys/kernel/config/nvmet/subsystems/${nqnOf(name)} ports/1/subsystems/`);
}

/** Withdraws an export in the order of I2; waits for the drive as long as it takes. */
export const withdrawScript = (name: string): string => `cd /sys/kernel/config/nvmet
rm ports/1/subsystems/${nqnOf(name)}
echo 0 >subsystems/${nqnOf(name)}/namespaces/1/enable
rmdir subsystems/${nqnOf(name)}/namespaces/1 subsystems/${nqnOf(name)}`;

/** What {@link connect} made. */
export interface Path {
  /** For example nvme4. */
  controller: string;
  /** For example nvme4n1. */
  device: string;
}

/** The command that connects as the product does. */
export const connectCommand = (address: string, name: string): string => connectArguments({ nqn: nqnOf(name), address, port: 4420 }, UID, 1).join(" ");

/** Connects as the product does. */
export async function connect(guest: Guest, address: string, name: string): Promise<Path> {
  // After a long cut the address has to be found again.
  await guest.sh(`for i in $(seq 20); do ${connectCommand(address, name)} && exit 0; sleep 0.3; done; exit 1`);
  const found = await guest.sh(`for i in $(seq 100); do
  for c in /sys/class/nvme/*; do
    [ "$(cat $c/subsysnqn)" = ${nqnOf(name)} ] || continue
    for p in $c/nvme*n1; do
      [ -d $p ] || continue
      head=$(basename $p | sed 's/c[0-9]*n/n/')
      [ -b /dev/$head ] || continue
      echo ${IO_TIMEOUT_MS} >/sys/block/$(basename $p)/queue/io_timeout
      echo $(basename $c) $head
      exit
    done
  done
  sleep 0.1
done`);
  const [controller, device] = found.split(" ");
  if (controller === undefined || device === undefined) throw new Error(`no device behind ${nqnOf(name)}`);
  return { controller, device };
}

/** `state` of a controller; "gone" without one. */
export async function stateOf(guest: Guest, controller: string): Promise<string> {
  return guest.sh(`cat /sys/class/nvme/${controller}/state 2>/dev/null || echo gone`);
}

/** Waits until the kernel has noticed that the path is lost; returns after how many ms. */
export async function untilLost(guest: Guest, controllers: readonly string[]): Promise<number> {
  const from = performance.now();
  const files = controllers.map((c) => `/sys/class/nvme/${c}/state`).join(" ");
  await guest.sh(`for i in $(seq 300); do grep -qxv connecting ${files} || exit 0; sleep 0.05; done; exit 1`);
  return performance.now() - from;
}

/** A command in a guest that may hang. */
export interface Started {
  /** Milliseconds until its end and its exit code. */
  readonly ended: Promise<{ ms: number; code: number | null }>;
  /** The same if it ends within `ms` from now; null: it still runs. */
  within(ms: number): Promise<{ ms: number; code: number | null } | null>;
}

/** Starts a script. */
export async function start(guest: Guest, script: string): Promise<Started> {
  const from = performance.now();
  const running = await guest.spawn(["bash", "-c", script]);
  const ended = running.exited.then(({ code }) => ({ ms: Math.round(performance.now() - from), code }));
  return {
    ended,
    within: async (ms) => {
      const { promise, resolve } = Promise.withResolvers<null>();
      const timer = setTimeout(() => resolve(null), ms);
      const first = await Promise.race([ended, promise]);
      clearTimeout(timer);
      return first;
    },
  };
}

/** Ends a wait that should have ended, with what was waited for. */
export async function finished(what: string, started: Started, limitMs: number): Promise<{ ms: number; code: number | null }> {
  const end = await started.within(limitMs);
  if (end === null) throw new Error(`${what}: no end within ${limitMs} ms`);
  return end;
}

/** Makes the mirror of local and remote members, all alike; names of block devices without /dev/. */
export async function makeMirror(guest: Guest, local: readonly string[], remote: readonly string[]): Promise<void> {
  const marked = remote.length > 0 ? `--write-mostly ${remote.map((d) => `/dev/${d}`).join(" ")}` : "";
  await guest.sh(`mdadm --create /dev/${MD} --run --metadata=1.2 --level=1 --raid-devices=${local.length + remote.length} --assume-clean --bitmap=internal \
--bitmap-chunk=4M --data-offset=${DATA_MIB}M --homehost=any ${local.map((d) => `/dev/${d}`).join(" ")} ${marked} </dev/null 2>&1`);
}

/** Stops the mirror and forgets its members' superblocks. */
export async function dropMirror(guest: Guest, members: readonly string[]): Promise<void> {
  await guest.sh(`for i in $(seq 50); do mdadm --stop /dev/${MD} 2>/dev/null && break; sleep 0.1; done
${members.map((d) => `[ ! -b /dev/${d} ] || mdadm --zero-superblock /dev/${d} 2>/dev/null || true`).join("\n")}`);
}

/** Kernel name of a device: dm-3 for mapper/x. */
export async function kernelName(guest: Guest, device: string): Promise<string> {
  return guest.sh(`basename $(readlink -f /dev/${device})`);
}

/** Flags of a member in the mirror; "gone" if it is none. */
export async function memberState(guest: Guest, kernel: string): Promise<string> {
  return guest.sh(`cat /sys/block/${MD}/md/dev-${kernel}/state 2>/dev/null || echo gone`);
}

/** Waits for the end of a resync and for all members in sync. */
export async function untilInSync(guest: Guest): Promise<void> {
  await guest.sh(`cd /sys/block/${MD}/md; for i in $(seq 300); do [ "$(cat sync_action) $(cat degraded)" = "idle 0" ] && exit 0; sleep 0.1; done; exit 1`);
}
