/** /proc/self/mountinfo (proc_pid_mountinfo(5)) as data. Pure. */

export interface MountEntry {
  target: string;
  /** `major:minor` of the mounted device. */
  device: string;
  fsType: string;
  readOnly: boolean;
  root: string;
  /** The filesystem took itself out of use: it says so (ext4), or it became read-only below a mount that may write. */
  outOfUse: boolean;
}

export function parseMountinfo(text: string): MountEntry[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map(parseLine)
    .filter((entry) => entry !== null);
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` */
function parseLine(line: string): MountEntry | null {
  const words = line.split(" ");
  const dash = words.indexOf("-", 6);
  if (dash < 0 || words.length < dash + 3) return null;
  const options = words[5]!.split(",");
  const superOptions = (words[dash + 3] ?? "").split(",");
  return {
    target: unescape(words[4]!),
    device: words[2]!,
    fsType: words[dash + 1]!,
    readOnly: options.includes("ro") || superOptions.includes("ro"),
    root: unescape(words[3]!),
    outOfUse: superOptions.includes("shutdown") || superOptions.includes("emergency_ro") || (options.includes("rw") && superOptions.includes("ro")),
  };
}

/** Space, tab, newline and backslash come as octal escapes; the bytes are UTF-8. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
