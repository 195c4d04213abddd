/** What a staged volume looks like on its node, by what it is: a mount of its filesystem, or its device bound on a file. Pure. */
import type { VolumeSpec } from "../api/volume.ts";

type Kind = Pick<VolumeSpec, "volumeMode" | "fsType">;

/** Name of the file in a raw block volume's staging directory that its device is bound on. */
export const STAGED_DEVICE = "device";

/** A raw block volume: no filesystem of ours is on it. */
export function isBlock(spec: Kind): boolean {
  return spec.volumeMode === "Block";
}

/** The mount that says that the volume is staged at this path. */
export function stagedTarget(spec: Kind, stagingPath: string): string {
  return isBlock(spec) ? `${stagingPath}/${STAGED_DEVICE}` : stagingPath;
}

/**
 * Where a stop by force ends what is served (I4). XFS does it: once shut down it answers everything with an error, what is
 * held included. Whoever uses a raw device, or an ext4 whose held write needs no journal, could be told of success, and a
 * container that is started again could write anew: there the device itself answers with errors from then on.
 */
export function endsAtDevice(spec: Kind): boolean {
  return isBlock(spec) || spec.fsType !== "xfs";
}
