/** DeleteVolume: begins the deletion; the nodes wipe and free, then the loop lets the object go. */
import type { MeshStorVolume } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import { KubeError } from "../kube/client.ts";
import { VOLUMES } from "../kube/resources.ts";
import type { ControllerDeps } from "./deps.ts";

const ATTEMPTS = 5;

/** Resolves once the deletion has begun, or if there is no such volume. @throws MeshStorError VolumeInUse naming the owner's node. */
export async function deleteVolume({ client }: Pick<ControllerDeps, "client">, name: string, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const volume = await client.tryGet(VOLUMES, name, { signal });
    if (!volume) return;
    checkUnowned(volume);
    if (volume.metadata.deletionTimestamp) return;
    try {
      const { uid, resourceVersion } = volume.metadata;
      // Only as it was read: a node that took it meanwhile keeps it.
      return await client.remove(VOLUMES, name, { uid, resourceVersion, signal });
    } catch (error) {
      if (error instanceof KubeError && error.isNotFound) return;
      if (!(error instanceof KubeError) || !error.isConflict || attempt === ATTEMPTS) throw error;
    }
  }
}

function checkUnowned({ metadata, status }: MeshStorVolume): void {
  if (status?.owner) throw new MeshStorError("VolumeInUse", `volume ${metadata.name} is in use on node ${status.owner.nodeName}`);
}
