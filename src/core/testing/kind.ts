/** What the model's volume is to its pods, and what that makes of "staged". */
import type { VolumeSpec } from "../../api/volume.ts";
import { stagedTarget } from "../staged.ts";
import { STAGING } from "./builders.ts";
import type { NodeState, World } from "./world.ts";

/** XFS if nothing is said. */
export type VolumeKind = "xfs" | "ext4" | "block";

/** As the record says, or said before it was gone. */
export function specOf(w: World): VolumeSpec {
  const volume = w.api.versions.findLast((v) => v !== null);
  if (!volume) throw new Error("there never was a volume");
  return volume.spec;
}

/** Staged here, as kubelet was told. */
export function isStaged(w: World, n: NodeState): boolean {
  const target = stagedTarget(specOf(w), STAGING);
  return n.mounts.some((m) => m.target === target);
}
