/** What a guest's kernel says, asked by other means than the program's own: shell, sysfs, configfs, raw reads. */
import { PARTITION_OVERHEAD } from "../../src/base/layout.ts";
import { PARTITION_TYPE } from "../../src/api/names.ts";
import type { MeshStorVolume, PartitionRecord } from "../../src/api/volume.ts";
import type { Guest } from "../guest/guest.ts";

/** Everything of ours in a kernel, one line each; empty when nothing is left. */
export async function traces(guest: Guest): Promise<string[]> {
  const script = `set +e
for s in /sys/kernel/config/nvmet/subsystems/nqn.2025-12.io.meshstor:*; do [ -e "$s" ] && echo "export $(basename $s)"; done
for p in /sys/kernel/config/nvmet/ports/*; do [ -e "$p/addr_trsvcid" ] && [ "$(cat $p/addr_trsvcid)" = 4420 ] && echo "port $(cat $p/addr_traddr)"; done
for c in /sys/class/nvme/nvme*; do [ -e "$c/subsysnqn" ] && case "$(cat $c/subsysnqn)" in nqn.2025-12.io.meshstor:*) echo "connection $(cat $c/subsysnqn) $(cat $c/state)";; esac; done
for d in /sys/block/dm-*; do [ -e "$d/dm/uuid" ] && case "$(cat $d/dm/uuid)" in MESHSTOR-*) echo "dm $(cat $d/dm/name)";; esac; done
for m in /sys/block/md*; do [ -e "$m/md/array_state" ] && [ "$(cat $m/md/array_state)" != clear ] && echo "array $(basename $m) $(cat $m/md/array_state)"; done
grep -E ' /dev/(mapper/meshstor-|dm-|md)' /proc/mounts | sed 's/^/mount /' || true
lsblk -rno NAME,PARTTYPE,PARTUUID | while read n t u; do [ "$(echo $t | tr a-z A-Z)" = ${PARTITION_TYPE} ] && echo "partition $n $u"; done
true`;
  return (await guest.sh(script)).split("\n").filter((line) => line !== "");
}

/** One mirror as its owner's kernel shows it. */
export interface ArrayFacts {
  readonly device: string;
  readonly state: string;
  readonly raidDisks: number;
  readonly degraded: number;
  readonly syncAction: string;
  /** Flags of each member, sorted by slot, for example "in_sync,write_mostly". */
  readonly members: readonly { readonly below: string; readonly slot: string; readonly flags: string }[];
}

/** All MD arrays of a guest. */
export async function arrays(guest: Guest): Promise<ArrayFacts[]> {
  const script = `set +e
for m in /sys/block/md*; do
  [ -e "$m/md/array_state" ] || continue
  echo "A $(basename $m) $(cat $m/md/array_state) $(cat $m/md/raid_disks) $(cat $m/md/degraded) $(cat $m/md/sync_action)"
  for d in $m/md/dev-*; do b=$(readlink -f $d/block); echo "M $(ls $b/slaves 2>/dev/null | head -1) $(cat $d/slot) $(cat $d/state)"; done
done
true`;
  const facts: ArrayFacts[] = [];
  for (const line of (await guest.sh(script)).split("\n")) {
    const [kind, a = "", b = "", c = "", d = "", e = ""] = line.split(" ");
    if (kind === "A") facts.push({ device: a, state: b, raidDisks: Number(c), degraded: Number(d), syncAction: e, members: [] });
    if (kind === "M") (facts.at(-1)!.members as { below: string; slot: string; flags: string }[]).push({ below: a, slot: b, flags: c });
  }
  return facts;
}

/** Kernel name of a member's partition on its own node. */
export async function partitionDevice(guest: Guest, uuid: string): Promise<string> {
  return guest.sh(`readlink -f /dev/disk/by-partuuid/${uuid}`);
}

/** SHA-256 of a member's data area (not label, superblock or bitmap), read from the drive itself. */
export async function dataChecksum(guest: Guest, partition: PartitionRecord): Promise<string> {
  const device = await partitionDevice(guest, partition.partitionUUID);
  const skip = PARTITION_OVERHEAD / 1048576;
  return guest.sh(`dd if=${device} bs=1M skip=${skip} iflag=direct status=none | sha256sum | cut -d' ' -f1`, { timeoutMs: 300_000 });
}

/** True if every byte of the range reads as zero, read from the device itself. */
export async function isZero(guest: Guest, device: string, fromMiB = 0, countMiB?: number): Promise<boolean> {
  const count = countMiB === undefined ? "" : `count=${countMiB}`;
  const rest = await guest.sh(`dd if=${device} bs=1M skip=${fromMiB} ${count} iflag=direct status=none | tr -d '\\000' | head -c 1 | wc -c`, { timeoutMs: 300_000 });
  return rest.trim() === "0";
}

/** The members of one mirror that the record holds in sync. */
export function recorded(volume: MeshStorVolume, mirror = 0): PartitionRecord[] {
  const inSync = volume.status?.mirrors?.[mirror]?.inSync ?? [];
  return (volume.status?.partitions ?? []).filter((p) => inSync.includes(p.partitionUUID));
}

/** `mdadm --examine` of a member would need its window; this reads the superblock's event count where MD has it. */
export async function eventCount(guest: Guest, partitionUUID: string): Promise<number> {
  const device = await partitionDevice(guest, partitionUUID);
  // MD 1.2 superblock: 4 KiB into the window, which begins after the 1 MiB label area; events at byte 200.
  const hex = await guest.sh(`dd if=${device} bs=1 skip=$((1048576 + 4096 + 200)) count=8 status=none | od -An -tu8`);
  return Number(hex.trim());
}

/** The label of a member, as text. */
export async function label(guest: Guest, partitionUUID: string): Promise<string> {
  const device = await partitionDevice(guest, partitionUUID);
  return guest.sh(
    `dd if=${device} bs=512 count=1 iflag=direct status=none 2>/dev/null | tr -d '\\000' || dd if=${device} bs=4096 count=1 iflag=direct status=none | head -c 512 | tr -d '\\000'`,
  );
}
