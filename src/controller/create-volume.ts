/**
 * CreateVolume: place, make the object, wait until every partition is made and zeroed. May be
 * repeated, cancelled and interrupted anywhere: the next call (or the loop) goes on from the record.
 */
import type { MeshStorVolume } from "../api/volume.ts";
import { asMeshStorError, MeshStorError } from "../base/errors.ts";
import { misfitOf } from "../csi/capabilities.ts";
import { differenceOf } from "../csi/controller.ts";
import type { CreateRequest } from "../csi/controller-port.ts";
import { KubeError } from "../kube/client.ts";
import { VOLUMES } from "../kube/resources.ts";
import { type ControllerDeps, misplacedIn } from "./deps.ts";
import type { Placer } from "./placer.ts";
import { isPending, isUnused, progressOf, PROVISIONING } from "./provisioning.ts";

/** A wait ends by itself after this time and reads the volume anew, whatever the informer says. */
const LOOK_AGAIN_MS = 5000;

export async function createVolume(deps: ControllerDeps, placer: Placer, request: CreateRequest, signal: AbortSignal): Promise<MeshStorVolume> {
  const { client, waiters } = deps;
  const name = request.volumeID;
  return waiters.during(name, async () => {
    const existing = await client.tryGet(VOLUMES, name, { signal });
    let volume = existing ?? (await placer.create(request, signal));
    checkSame(volume, request);
    for (;;) {
      if (volume.metadata.deletionTimestamp) throw new MeshStorError("Busy", `volume ${name} is being deleted`);
      const progress = progressOf(volume, misplacedIn(deps));
      if (progress.kind === "ready") return settle(deps, volume, signal);
      if (progress.kind === "waiting") volume = await nextLook(deps, volume, progress.sentence, signal);
      else volume = await orGiveUp(deps, volume, () => (progress.kind === "misplaced" ? placer.replaceMisplaced(name, signal) : placer.placeUnplaced(name, signal)));
    }
  });
}

/** Same name, other wishes: not the same volume. */
function checkSame({ metadata, spec }: MeshStorVolume, request: CreateRequest): void {
  const refuse = (why: string) => new MeshStorError("VolumeIncompatible", `volume ${metadata.name} exists, but ${why}`);
  const name = spec.requestedName ?? metadata.name;
  if (name !== request.requestedName) throw refuse(`was made for the name ${JSON.stringify(name)}, not ${JSON.stringify(request.requestedName)}`);
  const { capacityBytes } = spec;
  if (capacityBytes < request.atLeast || capacityBytes > request.atMost) throw refuse(`capacity_range asks for ${request.capacityBytes} bytes and it has ${capacityBytes}`);
  const difference = differenceOf(request.parameters, spec) ?? misfitOf(request, { name: metadata.name, spec }, "volume_capabilities");
  if (difference !== null) throw refuse(difference);
}

/** Waits for a change; what the informer shows then, or what the API says if it shows nothing newer. */
async function nextLook(deps: ControllerDeps, volume: MeshStorVolume, sentence: string, signal: AbortSignal): Promise<MeshStorVolume> {
  const { client, waiters, cache } = deps;
  const { name, uid, resourceVersion } = volume.metadata;
  try {
    await waiters.change(name, LOOK_AGAIN_MS, signal);
    const shown = cache.volume(name);
    if (shown && shown.metadata.uid === uid && shown.metadata.resourceVersion !== resourceVersion) return shown;
    const read = await client.tryGet(VOLUMES, name, { signal });
    if (read?.metadata.uid !== uid || read === null) throw new MeshStorError("Busy", `volume ${name} was deleted meanwhile`);
    return read;
  } catch (error) {
    if (signal.aborted) throw new MeshStorError("Waiting", sentence, { cause: error });
    throw error;
  }
}

/** Runs `work`; where there is no place for the volume, and nobody was ever told of it, nothing of it is left behind. */
export async function orGiveUp(deps: Pick<ControllerDeps, "client" | "log">, volume: MeshStorVolume, work: () => Promise<MeshStorVolume>): Promise<MeshStorVolume> {
  try {
    return await work();
  } catch (thrown) {
    const { code, message } = asMeshStorError(thrown);
    if ((code === "NoCapacity" || code === "NotEnoughNodes") && isPending(volume) && isUnused(volume.status)) {
      await removeHalfMade(deps, volume, message);
    }
    throw thrown;
  }
}

/** Begins the deletion of a volume that nobody was told of; its finalizer keeps it until the nodes have cleaned up. */
export async function removeHalfMade({ client, log }: Pick<ControllerDeps, "client" | "log">, volume: MeshStorVolume, reason: string): Promise<void> {
  const { name, uid } = volume.metadata;
  try {
    await client.remove(VOLUMES, name, { uid });
    log.warn("half-made volume deleted", { volume: name, reason });
  } catch (error) {
    if (!(error instanceof KubeError) || !(error.isNotFound || error.isConflict)) throw error;
  }
}

/** From now on somebody knows of the volume: it is never collected again. */
async function settle({ client }: ControllerDeps, volume: MeshStorVolume, signal: AbortSignal): Promise<MeshStorVolume> {
  if (!isPending(volume)) return volume;
  const { name, uid } = volume.metadata;
  return client.mergePatch(VOLUMES, name, { metadata: { uid, annotations: { [PROVISIONING]: "Done" } } }, { signal });
}
