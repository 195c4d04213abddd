/** The host tools we use, with the least version each, and how to read it. Pure. */

export interface Tool {
  name: string;
  package: string;
  /** Prints the version. */
  argv: readonly string[];
  /** Finds it in what was printed. */
  pattern: RegExp;
  /** Least version; empty: any. */
  least: string;
}

/** util-linux 2.36: `sfdisk --lock`, `blkdiscard` opens exclusively; mdadm 4.2: `CREATE bbl=no`; nvme-cli 2.0: long options of connect as used; e2fsprogs 1.47: `assume_storage_prezeroed`. */
export const TOOLS: readonly Tool[] = [
  { name: "sfdisk", package: "fdisk", argv: ["sfdisk", "--version"], pattern: /util-linux (\d+\.\d+)/, least: "2.36" },
  { name: "partx", package: "util-linux", argv: ["partx", "--version"], pattern: /util-linux (\d+\.\d+)/, least: "2.36" },
  { name: "blkid", package: "util-linux", argv: ["blkid", "--version"], pattern: /util-linux (\d+\.\d+)/, least: "2.36" },
  { name: "blkdiscard", package: "util-linux", argv: ["blkdiscard", "--version"], pattern: /util-linux (\d+\.\d+)/, least: "2.36" },
  { name: "mount", package: "mount", argv: ["mount", "--version"], pattern: /util-linux (\d+\.\d+)/, least: "2.36" },
  { name: "umount", package: "mount", argv: ["umount", "--version"], pattern: /util-linux (\d+\.\d+)/, least: "2.36" },
  { name: "mdadm", package: "mdadm", argv: ["mdadm", "--version"], pattern: /v(\d+\.\d+)/, least: "4.2" },
  { name: "nvme", package: "nvme-cli", argv: ["nvme", "version"], pattern: /version (\d+\.\d+)/, least: "2.0" },
  { name: "dmsetup", package: "dmsetup", argv: ["dmsetup", "version"], pattern: /Library version:\s+(\d+\.\d+\.\d+)/, least: "1.2.175" },
  { name: "mkfs.xfs", package: "xfsprogs", argv: ["mkfs.xfs", "-V"], pattern: /version (\d+\.\d+)/, least: "5.10" },
  { name: "mkfs.ext4", package: "e2fsprogs", argv: ["mkfs.ext4", "-V"], pattern: /mke2fs (\d+\.\d+)/, least: "1.47" },
  { name: "perl", package: "perl-base", argv: ["perl", "-e", "printf 'perl %vd', $^V"], pattern: /perl (\d+\.\d+)/, least: "5.28" },
  { name: "losetup", package: "mount", argv: ["losetup", "--version"], pattern: /util-linux (\d+\.\d+)/, least: "2.36" },
  { name: "dd", package: "coreutils", argv: ["dd", "--version"], pattern: /(\d+\.\d+)/, least: "8.30" },
  { name: "stat", package: "coreutils", argv: ["stat", "--version"], pattern: /(\d+\.\d+)/, least: "8.30" },
];

/** Why the tool is refused; null if it is fine. `output` is null if it could not be started. */
export function toolRefusal(tool: Tool, output: string | null): string | null {
  if (output === null) return `${tool.name} is missing (package ${tool.package})`;
  const version = tool.pattern.exec(output)?.[1];
  if (version === undefined) return `${tool.name} does not say its version`;
  return compareVersions(version, tool.least) < 0 ? `${tool.name} is ${version}, at least ${tool.least} is needed (package ${tool.package})` : null;
}

/** Negative, zero or positive as `a` is older than, equal to or newer than `b`; parts compared as numbers. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((v) => v.split(".").map(Number)) as [number[], number[]];
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
