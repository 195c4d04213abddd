/** ModifyVolume: what a VolumeAttributesClass wants of a volume that exists is written to its spec; healing makes it true. */
import type { ModifyRequest } from "../csi/controller-port.ts";
import { VOLUMES } from "../kube/resources.ts";
import type { ControllerDeps } from "./deps.ts";
import { findVolume } from "./find-volume.ts";

/** Resolves once it is written, or if it stands already. The last writer wins: a scale by hand may follow. */
export async function modifyVolume({ client, log }: Pick<ControllerDeps, "client" | "log">, { volumeID, change }: ModifyRequest, signal: AbortSignal): Promise<void> {
  const volume = await findVolume(client, volumeID, signal);
  const spec = Object.fromEntries(Object.entries(change).filter(([field, value]) => volume.spec[field as keyof typeof change] !== value));
  if (Object.keys(spec).length === 0) return;
  await client.mergePatch(VOLUMES, volumeID, { metadata: { uid: volume.metadata.uid }, spec }, { signal });
  log.info("volume modified by its VolumeAttributesClass", { volume: volumeID, change: spec });
}
