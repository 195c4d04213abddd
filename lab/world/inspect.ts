/** What a guest's kernel says, asked by other means than the program's own: shell, sysfs, configfs, raw reads. */
import { PARTITION_OVERHEAD } from "../../src/base/layout.ts";
import { PARTITION_TYPE } from "../../src/api/names.ts";
import type { MeshStorVolume, PartitionRecord } from "../../src/api/volume.ts";
import type { Guest } from "../guest/guest.ts";

/** Reads the first line of a file into R without starting a program: in a guest that is what costs. */
const READ = `set +e
r() { R=; { read -r R <"$1"; } 2>/dev/null; }`;

/** Everything of ours in a kernel, one line each; empty when nothing is left. */
export async function traces(guest: Guest): Promise<string[]> {
  const script = `${READ}
for s in /sys/kernel/config/nvmet/subsystems/nqn.2025-12.io.meshstor:*; do [ -e "$s" ] && echo "export \${s##*/}"; done
for p in /sys/kernel/config/nvmet/ports/*; do r $p/addr_trsvcid; [ "$R" = 4420 ] && r $p/addr_traddr && echo "port $R"; done
for c in /sys/class/nvme/nvme*; do r $c/subsysnqn; case "$R" in nqn.2025-12.io.meshstor:*) n=$R; r $c/state; echo "connection $n $R";; esac; done
for d in /sys/block/dm-*; do r $d/dm/uuid; case "$R" in MESHSTOR-*) r $d/dm/name; echo "dm $R";; esac; done
for m in /sys/block/md*; do r $m/md/array_state; [ -n "$R" ] && [ "$R" != clear ] && echo "array \${m##*/} $R"; done
while read -r device at rest; do case "$at" in /dev/mapper/meshstor-*|/dev/dm-*|/dev/md*) echo "mount $device $at $rest";; esac; done </proc/mounts
echo --
lsblk -rno NAME,PARTTYPE,PARTUUID
true`;
  const lines = (await guest.sh(script)).split("\n");
  const [facts, listed] = [lines.slice(0, lines.indexOf("--")), lines.slice(lines.indexOf("--") + 1).map((line) => line.split(" "))];
  return [...facts, ...listed.filter(([, type = ""]) => type.toUpperCase() === PARTITION_TYPE).map(([name, , uuid]) => `partition ${name} ${uuid}`)];
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
  const script = `${READ}
for m in /sys/block/md*; do
  [ -e "$m/md/array_state" ] || continue
  a="A \${m##*/}"; for f in array_state raid_disks degraded sync_action; do r $m/md/$f; a="$a $R"; done; echo "$a"
  for d in $m/md/dev-*; do b=; for s in $d/block/slaves/*; do [ -e "$s" ] && b=\${s##*/}; done; r $d/slot; a=$R; r $d/state; echo "M $b $a $R"; done
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
