/** The volume that a call of CSI names, as it stands in the API. */
import type { MeshStorVolume } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import { VOLUMES } from "../kube/resources.ts";
import type { ControllerDeps } from "./deps.ts";

/** @throws MeshStorError VolumeNotFound if there is none, or it is being deleted */
export async function findVolume(client: ControllerDeps["client"], volumeID: string, signal: AbortSignal): Promise<MeshStorVolume> {
  const volume = await client.tryGet(VOLUMES, volumeID, { signal });
  if (volume && volume.metadata.deletionTimestamp === undefined) return volume;
  throw new MeshStorError("VolumeNotFound", `volume_id ${volumeID} does not exist`);
}
