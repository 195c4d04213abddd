/**
 * Placement decisions, one at a time, so that two volumes never take the same hole: each looks at
 * what is recorded now (quorum reads), decides by core/placement, and has written its decision
 * before the next one looks.
 */
import { FINALIZER } from "../api/names.ts";
import type { MeshStorVolume, VolumeSpec, VolumeStatus } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import { place } from "../core/placement/place.ts";
import { requestFor, sectorSizeOf } from "../core/placement/request.ts";
import { exactSize } from "../core/placement/sizes.ts";
import type { Cluster, Placement, PlacementRequest } from "../core/placement/types.ts";
import { partitionSize } from "../core/sizes.ts";
import type { CreateRequest } from "../csi/controller-port.ts";
import { KubeError } from "../kube/client.ts";
import { DEVICES, VOLUMES } from "../kube/resources.ts";
import { updateStatus } from "../kube/update.ts";
import { withRest } from "./at-rest.ts";
import { candidateDrives, reservationsOf } from "./cluster.ts";
import { type ControllerDeps, isoNow, misplacedIn } from "./deps.ts";
import { isUnused, newVolume, progressOf, requestedPartitions, type Stamp } from "./provisioning.ts";
import { replacePartitions } from "./replacement.ts";

/** Times that a volume's partitions are moved to another place before its creation is given up. */
const MOST_REPLACEMENTS = 5;

/** A new status, and what was decided in clauses. */
export interface Decision {
  status: VolumeStatus;
  why: string[];
}

type Placed = Extract<Placement, { ok: true }>;

export class Placer {
  readonly #deps: ControllerDeps;
  #last: Promise<unknown> = Promise.resolve();
  /** How often partitions of a volume were replaced, by its UID. */
  readonly #replacements = new Map<string, number>();

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
  }

  /**
   * Places a new volume, makes its object, and records its partitions. If its object exists already, it is returned as it is.
   * @throws MeshStorError NotEnoughNodes or NoCapacity, with nothing made.
   */
  create(request: CreateRequest, signal: AbortSignal): Promise<MeshStorVolume> {
    return this.#serialised(signal, async () => {
      // Made by a call that was before this one in the queue: it holds the space that this one would look for.
      const existing = await this.#deps.client.tryGet(VOLUMES, request.volumeID, { signal });
      if (existing) return existing;
      const cluster = await this.#cluster(signal);
      const { preferredNodes, favouredNodes, parameters } = request;
      const wanted = newVolume(request, parameters.sectorSize);
      const placement = this.#place(wanted, cluster, { ...requestFor(wanted, parameters.sectorSize), preferredNodes, favouredNodes });
      try {
        const created = await this.#deps.client.create(VOLUMES, newVolume(request, placement.sectorSize), { signal });
        return await this.#record(created, placement, signal);
      } catch (error) {
        if (error instanceof KubeError && error.isAlreadyExists) return this.#read(request.volumeID, signal);
        throw error;
      }
    });
  }

  /**
   * Places a volume that exists and has no partitions yet (made by hand, or by a controller that died).
   * @throws MeshStorError NotEnoughNodes or NoCapacity; VolumeNotFound or Busy if it is gone or going.
   */
  placeUnplaced(name: string, signal: AbortSignal): Promise<MeshStorVolume> {
    return this.#serialised(signal, async () => {
      const volume = await this.#withFinalizer(await this.#read(name, signal), signal);
      if (progressOf(volume).kind !== "unplaced") return volume;
      const cluster = await this.#cluster(signal);
      const placement = this.#place(volume, cluster, requestFor(volume, sectorSizeOf(volume, cluster)));
      return this.#record(volume, placement, signal);
    });
  }

  /**
   * Gives partitions that will not be made where they are another place, in a volume that was never used.
   * @throws MeshStorError NoCapacity if there is none, or after too many attempts.
   */
  replaceMisplaced(name: string, signal: AbortSignal): Promise<MeshStorVolume> {
    return this.#serialised(signal, async () => {
      const volume = await this.#read(name, signal);
      const misplaced = misplacedIn(this.#deps);
      const progress = progressOf(volume, misplaced);
      if (progress.kind !== "misplaced") return volume;
      const uid = volume.metadata.uid ?? "";
      const times = (this.#replacements.get(uid) ?? 0) + 1;
      if (times > MOST_REPLACEMENTS)
        throw new MeshStorError("NoCapacity", `volume ${name}, ${askedOf(volume.spec)}: ${progress.sentence}; given up after ${MOST_REPLACEMENTS} other places`);
      const cluster = await this.#cluster(signal);
      const stamp = this.#stamp();
      const write = (v: MeshStorVolume): VolumeStatus | null => {
        if (v.metadata.deletionTimestamp || !isUnused(v.status)) return null;
        const replacement = replacePartitions(v, cluster, misplaced, stamp);
        if (!replacement.ok) throw new MeshStorError("NoCapacity", `volume ${name}, ${askedOf(v.spec)}: ${replacement.message}`);
        return withRest(v, replacement.status);
      };
      const written = await updateStatus(this.#deps.client, name, write, { signal });
      this.#replacements.set(uid, times);
      this.#deps.log.warn("partitions got another place", { volume: name, reason: progress.sentence });
      return written;
    });
  }

  /** Writes what `decide` wants on a fresh read of the volume and of what is promised; null: nothing. */
  decide(name: string, decide: (volume: MeshStorVolume, cluster: Cluster, volumes: readonly MeshStorVolume[]) => Decision | null, signal: AbortSignal): Promise<void> {
    return this.#serialised(signal, async () => {
      const { client, log } = this.#deps;
      const volumes = (await client.list(VOLUMES, { signal })).items;
      const cluster = await this.#clusterOf(volumes, signal);
      let why: string[] = [];
      const write = (v: MeshStorVolume): VolumeStatus | null => {
        const decision = decide(v, cluster, volumes);
        why = decision?.why ?? [];
        return decision?.status ?? null;
      };
      await updateStatus(client, name, write, { signal });
      if (why.length > 0) log.info("volume heals", { volume: name, why });
    });
  }

  /** The volume is gone: nothing of it need be remembered. */
  forget(uid: string): void {
    this.#replacements.delete(uid);
  }

  #serialised<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this.#last = next.catch(() => {});
    return next;
  }

  /**
   * Records first, drives after: a node shows a new partition in its drive before it records it as
   * created, so that what is no longer promised in the records is out of the holes.
   */
  async #cluster(signal: AbortSignal): Promise<Cluster> {
    const volumes = await this.#deps.client.list(VOLUMES, { signal });
    return this.#clusterOf(volumes.items, signal);
  }

  async #clusterOf(volumes: readonly MeshStorVolume[], signal: AbortSignal): Promise<Cluster> {
    const { client, cache } = this.#deps;
    const devices = await client.list(DEVICES, { signal });
    return { nodes: cache.nodes(), drives: candidateDrives(devices.items), reservations: reservationsOf(volumes) };
  }

  #place({ metadata, spec }: MeshStorVolume, cluster: Cluster, request: PlacementRequest): Placed {
    const placement = place(cluster, request);
    if (!placement.ok) throw new MeshStorError(placement.code, `volume ${metadata.name}, ${askedOf(spec)}: ${placement.message}`);
    this.#deps.log.info("volume placed", { volume: metadata.name, copies: placement.copies, sectorSize: placement.sectorSize });
    return placement;
  }

  async #read(name: string, signal: AbortSignal): Promise<MeshStorVolume> {
    const volume = await this.#deps.client.tryGet(VOLUMES, name, { signal });
    if (!volume) throw new MeshStorError("VolumeNotFound", `volume ${name} was deleted meanwhile`);
    if (volume.metadata.deletionTimestamp) throw new MeshStorError("Busy", `volume ${name} is being deleted`);
    return volume;
  }

  /** Nothing is put on drives for an object that could vanish before they are cleaned. */
  async #withFinalizer(volume: MeshStorVolume, signal: AbortSignal): Promise<MeshStorVolume> {
    const { name, finalizers = [], resourceVersion } = volume.metadata;
    if (finalizers.includes(FINALIZER)) return volume;
    return this.#deps.client.mergePatch(VOLUMES, name, { metadata: { resourceVersion, finalizers: [...finalizers, FINALIZER] } }, { signal });
  }

  /** Writes the partitions of a placement; a record that has some already stays. */
  #record(volume: MeshStorVolume, placement: Placed, signal: AbortSignal): Promise<MeshStorVolume> {
    const { name, uid } = volume.metadata;
    const partitions = requestedPartitions(placement.copies, partitionSize(volume.spec), this.#stamp());
    const write = (v: MeshStorVolume): VolumeStatus | null => {
      if (v.metadata.uid !== uid || v.metadata.deletionTimestamp) throw new MeshStorError("Busy", `volume ${name} is being deleted`);
      if (progressOf(v).kind !== "unplaced") return null;
      const { message: _message, ...rest } = v.status ?? {};
      return withRest(v, { ...rest, partitions: [...(rest.partitions ?? []), ...partitions] });
    };
    return updateStatus(this.#deps.client, name, write, { signal });
  }

  #stamp(): Stamp {
    return { now: isoNow(this.#deps.clock), newID: this.#deps.newID };
  }
}

/** The fields that a refusal comes from, with their values. */
function askedOf({ numberOfCopies, drivesPerCopy, capacityBytes, sectorSize }: VolumeSpec): string {
  const sectors = sectorSize === undefined ? "" : `, sectorSize ${sectorSize}`;
  return `numberOfCopies ${numberOfCopies}, drivesPerCopy ${drivesPerCopy}, capacity_range ${exactSize(capacityBytes)}${sectors}`;
}
