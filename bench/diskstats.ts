/** The kernel's own count of requests and sectors, by partition. */
import type { Guest } from "../lab/guest/guest.ts";

export interface DiskCounts {
  readonly reads: number;
  readonly readBytes: number;
  readonly writes: number;
  readonly writtenBytes: number;
}

const SECTOR = 512;

/** Counters of block devices by kernel name; they begin anew when the guest boots. */
export async function diskCounts(guest: Guest, devices: readonly string[]): Promise<DiskCounts[]> {
  const lines = (await guest.sh("cat /proc/diskstats")).split("\n").map((line) => line.trim().split(/\s+/));
  return devices.map((device) => {
    const fields = lines.find((line) => line[2] === device);
    if (!fields) throw new Error(`${guest.name} has no block device ${device}`);
    const at = (index: number): number => Number(fields[index]);
    return { reads: at(3), readBytes: at(5) * SECTOR, writes: at(7), writtenBytes: at(9) * SECTOR };
  });
}

/** What happened between two readings. */
export function difference(before: DiskCounts, after: DiskCounts): DiskCounts {
  return {
    reads: after.reads - before.reads,
    readBytes: after.readBytes - before.readBytes,
    writes: after.writes - before.writes,
    writtenBytes: after.writtenBytes - before.writtenBytes,
  };
}

/** Kernel name of the partition with this UUID. */
export async function partitionName(guest: Guest, uuid: string): Promise<string> {
  return (await guest.sh(`readlink -f /dev/disk/by-partuuid/${uuid}`)).replace("/dev/", "");
}
