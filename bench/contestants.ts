/**
 * What the volume is compared with, made by hand on a drive of the same kind in the same guests: a raw
 * partition, and an mdadm mirror of a partition here and one over NVMe/TCP there, with the bitmap and the
 * read preference that the product uses. All carry XFS, made alike.
 */
import { MD_DATA_OFFSET, PARTITION_OVERHEAD } from "../src/base/layout.ts";
import { bitmapChunk } from "../src/core/sizes.ts";
import { KEEP_ALIVE_S } from "../src/core/bounds.ts";
import { recorded } from "../lab/world/inspect.ts";
import type { Guest } from "../lab/guest/guest.ts";
import type { World } from "../lab/world/world.ts";
import { partitionName } from "./diskstats.ts";
import { HOME, MiB, SPARE_DRIVE } from "./part.ts";

/** Where requests of a contestant arrive: a partition of a guest. */
export interface Leg {
  readonly guest: Guest;
  readonly device: string;
  readonly remote: boolean;
}

export interface Contestant {
  readonly name: "volume" | "one copy" | "mirror" | "raw";
  readonly directory: string;
  readonly legs: readonly Leg[];
}

const NQN = "nqn.2025-12.lab-bench:mirror-leg";
const TCP_PORT = 4499;
const PORT_ID = 64000;
const ARRAY = "/dev/md200";
const MOUNTS = "/run/bench";

/** A volume of the product, already mounted. */
export async function volumeContestant(world: World, name: "volume" | "one copy", id: string, directory: string): Promise<Contestant> {
  const partitions = recorded((await world.volume(id))!);
  const legs = partitions.map(async (p) => {
    const guest = world.lab.guest(p.nodeID);
    return { guest, device: await partitionName(guest, p.partitionUUID), remote: p.nodeID !== HOME };
  });
  return { name, directory, legs: await Promise.all(legs) };
}

/** Makes the other two, on the nodes that hold the volume's copies; `bytes` is its size. */
export async function makeContestants(world: World, providerName: string, bytes: number): Promise<Contestant[]> {
  const [home, provider] = [world.lab.guest(HOME), world.lab.guest(providerName)];
  const [here, there] = [await partitionSpare(home, bytes), await partitionSpare(provider, bytes)];
  await format(home, `/dev/${here}p1`, "raw");
  await exportLeg(provider, `/dev/${there}p2`, world.lab.net.addresses(providerName).ipv4);
  const remote = await connectLeg(home, world.lab.net.addresses(providerName).ipv4);
  await makeMirror(home, `/dev/${here}p2`, `/dev/${remote}`, bytes);
  await format(home, ARRAY, "mirror");
  return [
    {
      name: "mirror",
      directory: `${MOUNTS}/mirror`,
      legs: [
        { guest: home, device: `${here}p2`, remote: false },
        { guest: provider, device: `${there}p2`, remote: true },
      ],
    },
    { name: "raw", directory: `${MOUNTS}/raw`, legs: [{ guest: home, device: `${here}p1`, remote: false }] },
  ];
}

/** The provider's spare drive as the home node imports it, with nothing of ours in between. */
export async function rawLink(world: World, providerName: string): Promise<{ device: string; close(): Promise<void> }> {
  const [home, provider] = [world.lab.guest(HOME), world.lab.guest(providerName)];
  const address = world.lab.net.addresses(providerName).ipv4;
  const serial = `LAB-${providerName}-${SPARE_DRIVE}`.toUpperCase();
  const drive = await provider.sh(`basename $(dirname $(dirname $(grep -l ${serial} /sys/block/nvme*n1/device/serial)))`);
  await exportLeg(provider, `/dev/${drive}`, address);
  const device = `/dev/${await connectLeg(home, address)}`;
  const close = async (): Promise<void> => {
    await home.sh(`nvme disconnect --nqn=${NQN}`);
    await withdrawLeg(provider);
  };
  return { device, close };
}

async function withdrawLeg(guest: Guest): Promise<void> {
  await guest.sh(`cd /sys/kernel/config/nvmet; rm ports/${PORT_ID}/subsystems/${NQN}; rmdir ports/${PORT_ID}
echo 0 >subsystems/${NQN}/namespaces/1/enable; rmdir subsystems/${NQN}/namespaces/1 subsystems/${NQN}`);
}

/** Takes everything down again but the partitions on the spare drives. */
export async function removeContestants(world: World, providerName: string): Promise<void> {
  const [home, provider] = [world.lab.guest(HOME), world.lab.guest(providerName)];
  await home.sh(`umount ${MOUNTS}/raw ${MOUNTS}/mirror; mdadm --stop ${ARRAY}; nvme disconnect --nqn=${NQN}`);
  await withdrawLeg(provider);
}

/** Two equal partitions that fill the spare drive, so that no room is left on it for volumes. Kernel name of the drive. */
async function partitionSpare(guest: Guest, bytes: number): Promise<string> {
  const serial = `LAB-${guest.name}-${SPARE_DRIVE}`.toUpperCase();
  const drive = await guest.sh(`basename $(dirname $(dirname $(grep -l ${serial} /sys/block/nvme*n1/device/serial)))`);
  const mib = (bytes + PARTITION_OVERHEAD) / MiB;
  await guest.sh(`printf 'label: gpt\\nsize=${mib}M\\nsize=+\\n' | sfdisk --quiet /dev/${drive}; udevadm settle; test -b /dev/${drive}p2`);
  return drive;
}

async function exportLeg(guest: Guest, device: string, address: string): Promise<void> {
  await guest.sh(`cd /sys/kernel/config/nvmet
mkdir subsystems/${NQN}; echo 1 >subsystems/${NQN}/attr_allow_any_host
mkdir subsystems/${NQN}/namespaces/1; printf %s ${device} >subsystems/${NQN}/namespaces/1/device_path; echo 1 >subsystems/${NQN}/namespaces/1/enable
mkdir ports/${PORT_ID}; echo tcp >ports/${PORT_ID}/addr_trtype; echo ipv4 >ports/${PORT_ID}/addr_adrfam
echo ${address} >ports/${PORT_ID}/addr_traddr; echo ${TCP_PORT} >ports/${PORT_ID}/addr_trsvcid
ln -s $PWD/subsystems/${NQN} ports/${PORT_ID}/subsystems/${NQN}`);
}

/** Kernel name of the imported namespace, whether native multipath is on or off. */
async function connectLeg(guest: Guest, address: string): Promise<string> {
  return guest.sh(`nvme connect --transport=tcp --traddr=${address} --trsvcid=${TCP_PORT} --nqn=${NQN} --keep-alive-tmo=${KEEP_ALIVE_S} --nr-io-queues=1 >/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do
  udevadm settle
  for d in /sys/block/nvme*; do
    [ "$(cat $d/hidden)" = 0 ] && [ "$(cat $d/device/subsysnqn)" = ${NQN} ] && basename $d && exit 0
  done
  sleep 0.5
done
echo "the leg did not appear" >&2; exit 1`);
}

async function makeMirror(guest: Guest, local: string, remote: string, bytes: number): Promise<void> {
  await guest.sh(
    `mdadm --create ${ARRAY} --run --metadata=1.2 --level=1 --raid-devices=2 --assume-clean --bitmap=internal --bitmap-chunk=${bitmapChunk(bytes) / 1024}K \\
  --data-offset=${MD_DATA_OFFSET / 1024}K --size=${bytes / 1024}K ${local} --write-mostly ${remote} 2>&1`,
  );
}

async function format(guest: Guest, device: string, name: string): Promise<void> {
  await guest.sh(`mkfs.xfs -q -K -f ${device}; mkdir -p ${MOUNTS}/${name}; mount ${device} ${MOUNTS}/${name}`, { timeoutMs: 120_000 });
}
