/** Shuts an XFS down at once, without writing its log: what is held can then end with an error only (I4, E13, E19). */
import type { HostAction } from "../../core/action.ts";
import { runOk } from "../exec.ts";
import { inodeOf } from "../files.ts";

/** Time for the ioctl, which waits for nothing that is held, in ms. */
const DEADLINE_MS = 10_000;

/** `shutdown` without -f is XFS_FSOP_GOING_FLAGS_NOLOGFLUSH (xfs_io(8)); any other flag would wait for the log. */
export async function shutdownFilesystem(action: Extract<HostAction, { kind: "ShutdownFilesystem" }>): Promise<void> {
  await runOk(["xfs_io", "-x", "-c", "shutdown", action.target], { deadlineMs: DEADLINE_MS, lane: action.target, releases: true });
}

/** A filesystem that is shut down answers a stat of its root with EIO (fs/xfs/xfs_iops.c, xfs_vn_getattr), from memory. */
export async function isShutDown(target: string): Promise<boolean> {
  return inodeOf(target).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "EIO",
  );
}
