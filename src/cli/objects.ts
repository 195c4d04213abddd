/** Reading volumes and nodes, and changing their wishes by compare-and-swap. */
import type { MeshStorVolume } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import { KubeError } from "../kube/client.ts";
import { type Node, NODES, VOLUMES } from "../kube/resources.ts";
import type { Context } from "./context.ts";
import { during } from "./failure.ts";

const ATTEMPTS = 6;

/** A volume that exists. @throws MeshStorError VolumeNotFound */
export function getVolume({ client }: Context, name: string): Promise<MeshStorVolume> {
  return during(`reading volume ${name}`, async () => {
    const volume = await client.tryGet(VOLUMES, name);
    if (!volume) throw new MeshStorError("VolumeNotFound", `there is no volume ${name}`);
    return volume;
  });
}

/** A volume that can still be changed. @throws MeshStorError */
export async function getLivingVolume(context: Context, name: string): Promise<MeshStorVolume> {
  const volume = await getVolume(context, name);
  if (volume.metadata.deletionTimestamp) throw new MeshStorError("BadArgument", `volume ${name} is being deleted`);
  return volume;
}

/** A node that exists. @throws MeshStorError NodeNotFound */
export function getNode({ client }: Context, name: string): Promise<Node> {
  return during(`reading node ${name}`, async () => {
    const node = await client.tryGet(NODES, name);
    if (!node) throw new MeshStorError("NodeNotFound", `there is no node ${name}`);
    return node;
  });
}

/**
 * Changes a volume's wishes: a merge patch over the version that was read, made anew on each fresh read when somebody else
 * was faster. `change` returns null where nothing is to be done.
 */
export function changeVolume(context: Context, name: string, what: string, change: (volume: MeshStorVolume) => object | null): Promise<MeshStorVolume> {
  return during(`${what} of volume ${name}`, async () => {
    for (let attempt = 1; ; attempt += 1) {
      const volume = await getLivingVolume(context, name);
      const spec = change(volume);
      if (spec === null) return volume;
      try {
        return await context.client.mergePatch(VOLUMES, name, { metadata: { resourceVersion: volume.metadata.resourceVersion }, spec });
      } catch (error) {
        if (!(error instanceof KubeError && error.isConflict) || attempt === ATTEMPTS) throw error;
      }
    }
  });
}
