/** Which kernels are safe for MD over NVMe-oF. Pure. */

export interface KernelVersion {
  major: number;
  minor: number;
  patch: number;
}

/**
 * Kernels of distributions below the floor that carry both fixes: commit ab99a87 (md-bitmap pages
 * beyond the allocation, hangs with nvme-tcp; LP#2075110) and the fix of CVE-2024-53170 (6.11.11 and
 * 6.12.2). A row is added only with the distribution's changelog as evidence.
 */
export const KNOWN_BACKPORTS: readonly { pattern: RegExp; what: string }[] = [{ pattern: /^6\.12\.0-\d+(\.\d+)*\.el10/, what: "Red Hat Enterprise Linux 10 and its rebuilds" }];

/** `6.12.95+deb13-amd64` → 6.12.95; null if it does not begin with a version. */
export function parseRelease(release: string): KernelVersion | null {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release);
  return match ? { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) } : null;
}

/** Mainline 6.11.11 and later in 6.11, 6.12.2 and later in 6.12, and everything after. */
export function isAboveFloor({ major, minor, patch }: KernelVersion): boolean {
  if (major !== 6) return major > 6;
  if (minor === 11) return patch >= 11;
  if (minor === 12) return patch >= 2;
  return minor > 12;
}

/** Why this kernel is refused, as a sentence; null if it is fine. `override` is the documented switch that accepts any. */
export function kernelRefusal(release: string, override: boolean): string | null {
  const version = parseRelease(release);
  if (override || KNOWN_BACKPORTS.some((b) => b.pattern.test(release))) return null;
  if (version !== null && isAboveFloor(version)) return null;
  return `kernel ${release} is below 6.11.11 and 6.12.2, where MD bitmaps over NVMe/TCP are not safe (LP#2075110, CVE-2024-53170), and is no known back-port; update it, or set MESHSTOR_ACCEPT_KERNEL=1 if your distribution has back-ported both fixes`;
}
