/** Shuts a filesystem down at once, without writing its log: with XFS, what is held can then end with an error only (I4, E13, E19). */
import type { HostAction } from "../../core/action.ts";
import { runOk } from "../exec.ts";
import { inodeOf } from "../files.ts";

/** Time for the ioctl, which waits for nothing that is held, in ms. */
const DEADLINE_MS = 10_000;

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (linux/fs/ext4/ext4.h): _IOR('X', 125, __u32), and 2. */
const EXT4_SHUTDOWN = String.raw`sysopen(my $dir, $ARGV[0], 0) or die "$!\n"; my $how = pack("L", 2); ioctl($dir, 0x8004587d, $how) or die "$!\n"`;

/**
 * `shutdown` without -f is XFS_FSOP_GOING_FLAGS_NOLOGFLUSH (xfs_io(8)); any other flag would wait for the log. ext4 aborts its
 * journal, which writes the journal's superblock: it is asked only once the device answers, with an error if need be.
 */
export async function shutdownFilesystem(action: Extract<HostAction, { kind: "ShutdownFilesystem" }>): Promise<void> {
  const argv = action.fsType === "ext4" ? ["perl", "-e", EXT4_SHUTDOWN, action.target] : ["xfs_io", "-x", "-c", "shutdown", action.target];
  await runOk(argv, { deadlineMs: DEADLINE_MS, lane: action.target, releases: true });
}

/** A filesystem that is shut down answers a stat of its root with EIO (fs/xfs/xfs_iops.c, xfs_vn_getattr), from memory. */
export async function isShutDown(target: string): Promise<boolean> {
  return inodeOf(target).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "EIO",
  );
}
