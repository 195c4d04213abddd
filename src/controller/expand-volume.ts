/** ControllerExpandVolume: the wish for a bigger volume is written to its spec; nodes make room, and the owner grows it. */
import type { MeshStorVolume } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import { place } from "../core/placement/place.ts";
import { requestFor, sectorSizeOf } from "../core/placement/request.ts";
import { exactSize } from "../core/placement/sizes.ts";
import type { Cluster } from "../core/placement/types.ts";
import { partitionSize } from "../core/sizes.ts";
import type { ExpandRequest } from "../csi/controller-port.ts";
import { VOLUMES } from "../kube/resources.ts";
import type { ControllerDeps } from "./deps.ts";
import { findVolume } from "./find-volume.ts";

/** Resolves with the size that is wanted from now on. @throws VolumeNotFound; NoCapacity, with nothing written, where it cannot come about as things are. */
export async function expandVolume({ client, log }: Pick<ControllerDeps, "client" | "log">, cluster: () => Cluster, request: ExpandRequest, signal: AbortSignal): Promise<number> {
  const { volumeID, atLeast, capacityBytes } = request;
  const volume = await findVolume(client, volumeID, signal);
  if (volume.spec.capacityBytes >= atLeast) return checked(volume, request);
  const refusal = whyNot({ ...volume, spec: { ...volume.spec, capacityBytes } }, cluster());
  if (refusal !== null) throw new MeshStorError("NoCapacity", `volume ${volumeID} cannot grow to ${exactSize(capacityBytes)}: ${refusal}`);
  const { uid, resourceVersion } = volume.metadata;
  await client.mergePatch(VOLUMES, volumeID, { metadata: { uid, resourceVersion }, spec: { capacityBytes } }, { signal });
  log.info("volume grows", { volume: volumeID, from: volume.spec.capacityBytes, to: capacityBytes });
  return capacityBytes;
}

/** It is that big already: a call that is repeated, or a limit that came too late. */
function checked({ metadata, spec }: MeshStorVolume, { atMost }: ExpandRequest): number {
  if (atMost !== null && spec.capacityBytes > atMost)
    throw new MeshStorError("SizeOutOfRange", `volume ${metadata.name} has ${spec.capacityBytes} bytes, capacity_range.limit_bytes is ${atMost}`);
  return spec.capacityBytes;
}

/**
 * Why there cannot be room: for every copy either each of its drives has as much in one piece as is added (whether it lies
 * behind the partition only its node knows), or another place on its node, or on another node, takes the copy as a whole.
 */
function whyNot(volume: MeshStorVolume, cluster: Cluster): string | null {
  const partitions = (volume.status?.partitions ?? []).filter((p) => p.state !== "Deleting" && p.state !== "Replacing");
  const wanted = partitionSize(volume.spec);
  const request = { ...requestFor(volume, sectorSizeOf(volume, cluster)), copies: 1 };
  for (const node of new Set(partitions.map((p) => p.nodeID))) {
    const copy = partitions.filter((p) => p.nodeID === node);
    const behind = copy.every((p) => {
      const drive = cluster.drives.find(({ status }) => status.nodeName === node && status.drive === p.drive);
      return p.sizeBytes >= wanted || (drive?.status.biggestHoleBytes ?? 0) >= wanted - p.sizeBytes;
    });
    if (behind || place({ ...cluster, nodes: cluster.nodes.filter((n) => n.name === node) }, request).ok) continue;
    const excludeNodes = new Map(partitions.map((p) => [p.nodeID, "holds a copy of this volume"]));
    const elsewhere = place(cluster, { ...request, excludeNodes });
    if (!elsewhere.ok) return `the copy on node ${node} has no room to grow, and there is no other place: ${elsewhere.message}`;
  }
  return null;
}
