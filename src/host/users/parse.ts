/** What /proc, /sys and two tools say about the users of a device, as data. Pure; pages named are of man-pages(7), unless said. */

/** `major:minor` of a device number as stat(2) gives it (makedev(3)). */
export function numberText(dev: number): string {
  const [low, high] = [BigInt(dev) & 0xffff_ffffn, BigInt(dev) >> 32n];
  const major = ((low >> 8n) & 0xfffn) | (high & 0xffff_f000n);
  const minor = (low & 0xffn) | ((low >> 12n) & 0xf_ff00n) | ((high & 0xfffn) << 20n);
  return `${major}:${minor}`;
}

/** True if a file of the device is mapped: `address perms offset fe:07 inode path`, numbers in hex (proc_pid_maps(5)). */
export function mapsNumber(maps: string, number: string): boolean {
  const [major, minor] = number.split(":").map(Number);
  return maps.split("\n").some((line) => {
    const match = /^\S+ \S+ \S+ ([0-9a-f]+):([0-9a-f]+) /.exec(line);
    return match !== null && Number.parseInt(match[1]!, 16) === major && Number.parseInt(match[2]!, 16) === minor;
  });
}

/** Address ranges of what is mapped shared from below a /dev, one for each path: nodes of devices are there, in a container too. */
export function mappedNodes(maps: string): string[] {
  const byPath = new Map<string, string>();
  for (const line of maps.split("\n")) {
    const match = /^([0-9a-f]+-[0-9a-f]+) \S\S\Ss \S+ \S+ [1-9]\d*\s+(\/.*)$/.exec(line);
    if (match && !byPath.has(match[2]!)) byPath.set(match[2]!, match[1]!);
  }
  return [...byPath.values()];
}

/** The mount that a file was opened through (proc_pid_fdinfo(5)); null if it does not say. */
export function mountIDOf(fdinfo: string): string | null {
  return /^mnt_id:\s*(\d+)$/m.exec(fdinfo)?.[1] ?? null;
}

/** One line of mountinfo, by what is asked here (proc_pid_mountinfo(5)). */
export interface MountPlace {
  id: string;
  number: string;
  target: string;
  fsType: string;
}

export function parsePlaces(mountinfo: string): MountPlace[] {
  return mountinfo.split("\n").flatMap((line) => {
    const words = line.split(" ");
    const fsType = words[words.indexOf("-", 6) + 1];
    return words.length > 8 && fsType !== undefined ? [{ id: words[0]!, number: words[2]!, target: words[4]!, fsType }] : [];
  });
}

/** A stat of these can wait for another machine or program, which is none of our business. */
export function isRemote(fsType: string): boolean {
  return /^(nfs|cifs|smb|ceph|fuse|9p|afs|lustre|gpfs|gfs2|ocfs2|beegfs|autofs)/.test(fsType);
}

/** The mount that an absolute path lies on, in this namespace; the last of the longest wins, as it covers the others. */
export function placeOf(path: string, places: readonly MountPlace[]): MountPlace | null {
  const over = places.filter((p) => isWithin(path, p.target));
  return over.reduce<MountPlace | null>((best, p) => (best === null || p.target.length >= best.target.length ? p : best), null);
}

export function isWithin(path: string, dir: string): boolean {
  return dir === "/" || path === dir || path.startsWith(`${dir}/`);
}

/** Names of things that are no files of any disk: `pipe:[7]`, `anon_inode:[eventpoll]`, `/memfd:x (deleted)`. */
export function isNoFile(link: string): boolean {
  return !link.startsWith("/") || link.startsWith("/memfd:") || link === "/dev/null" || link.startsWith("/dev/pts/");
}

/**
 * True if the namespace has the device mounted somewhere of its own, as a container has its volume. Where it is mounted at
 * the paths that this node knows (also below a prefix, where a container has the host's root), it is only seen.
 */
export function isContainerOf(places: readonly MountPlace[], number: string, targets: readonly string[]): boolean {
  return places.some((p) => p.number === number && !targets.some((t) => p.target === t || p.target.endsWith(t)));
}

/** Flag of a thread that is on its way out and never returns to its program (linux/sched.h, PF_EXITING). */
const PF_EXITING = 0x4;

/** True if a line of /proc/PID/task/TID/stat is of a thread that ends; its name may hold anything, so fields count from the last ')' (proc_pid_stat(5)). */
export function isExiting(stat: string): boolean {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ["Z", "X"].includes(fields[0] ?? "") || (Number(fields[6] ?? 0) & PF_EXITING) !== 0;
}

/** Paths in /proc/swaps (swapon(8)); blanks come as octal escapes. */
export function parseSwaps(text: string): string[] {
  return text
    .split("\n")
    .slice(1)
    .map((line) => unescaped(line.split(/\s+/)[0] ?? ""))
    .filter((path) => path !== "");
}

/** Exported paths in /proc/fs/nfsd/exports (nfsd(7)). */
export function parseNfsExports(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("/"))
    .map((line) => unescaped(line.split(/[\t ]/)[0]!));
}

function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** `losetup --list --noheadings --raw --output NAME,BACK-MAJ:MIN`: the device that holds each loop device's file. */
export function parseLosetup(text: string): { name: string; number: string }[] {
  return text.split("\n").flatMap((line) => {
    const [name, number] = line.trim().split(/\s+/);
    return name && number && /^\d+:\d+$/.test(number) ? [{ name, number }] : [];
  });
}
