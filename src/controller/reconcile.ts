/**
 * What the controller does for one volume when nobody asks: places what a killed controller left
 * unplaced, moves what could not be made, lets deleted volumes go once they are clean, collects
 * what nobody was ever told of, heals what is in use (healer.ts), and keeps the summary of volumes at rest. One step a pass.
 */
import { FINALIZER } from "../api/names.ts";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { asMeshStorError } from "../base/errors.ts";
import { VOLUMES } from "../kube/resources.ts";
import { updateStatus } from "../kube/update.ts";
import { toldAtRest, toldOfOwner } from "./at-rest.ts";
import { orGiveUp, removeHalfMade } from "./create-volume.ts";
import { type ControllerDeps, misplacedIn } from "./deps.ts";
import { Healer } from "./healer.ts";
import type { Placer } from "./placer.ts";
import { isPending, isUnused, progressOf } from "./provisioning.ts";

/** A volume that nobody was told of and nobody has asked for during this time is collected. */
export const ABANDONED_MS = 60 * 60_000;

export class VolumeReconciler {
  readonly #deps: ControllerDeps;
  readonly #placer: Placer;
  readonly #healer: Healer;
  /** Before this nobody's calls are known. */
  readonly #startedMs: number;

  constructor(deps: ControllerDeps, placer: Placer) {
    this.#deps = deps;
    this.#placer = placer;
    this.#healer = new Healer(deps, placer);
    this.#startedMs = deps.clock.nowMs();
  }

  /** One pass; what it decides on is read anew where it matters. */
  async reconcile(name: string, signal: AbortSignal): Promise<void> {
    const volume = this.#deps.cache.volume(name);
    if (!volume) return this.#deps.waiters.forget(name);
    if (volume.metadata.deletionTimestamp) await this.#letGo(volume, signal);
    else if (!this.#deps.waiters.isWaitedFor(name)) await this.#advance(volume, signal);
    await this.#healer.pass(volume, signal);
    await this.#summarise(name, signal);
  }

  /** The finalizer goes with the last partition. */
  async #letGo(volume: MeshStorVolume, signal: AbortSignal): Promise<void> {
    const { name, uid } = volume.metadata;
    if (!volume.metadata.finalizers?.includes(FINALIZER) || (volume.status?.partitions ?? []).length > 0) return;
    const { client, log } = this.#deps;
    const fresh = await client.tryGet(VOLUMES, name, { signal });
    if (!fresh?.metadata.deletionTimestamp || fresh.metadata.uid !== uid || (fresh.status?.partitions ?? []).length > 0) return;
    const finalizers = (fresh.metadata.finalizers ?? []).filter((f) => f !== FINALIZER);
    await client.replace(VOLUMES, { ...fresh, metadata: { ...fresh.metadata, finalizers } }, { signal });
    this.#placer.forget(uid ?? "");
    this.#healer.forget(uid ?? "");
    log.info("volume gone: nothing of it is left on any node", { volume: name });
  }

  async #advance(volume: MeshStorVolume, signal: AbortSignal): Promise<void> {
    const { name } = volume.metadata;
    const { kind } = progressOf(volume, misplacedIn(this.#deps));
    try {
      if (kind === "unplaced") await orGiveUp(this.#deps, volume, () => this.#placer.placeUnplaced(name, signal));
      else if (kind === "misplaced") await orGiveUp(this.#deps, volume, () => this.#placer.replaceMisplaced(name, signal));
      else if (this.#isAbandoned(volume)) await removeHalfMade(this.#deps, volume, "nobody was told of it and nobody has asked for it for an hour");
    } catch (thrown) {
      const error = asMeshStorError(thrown);
      if (error.code !== "NoCapacity" && error.code !== "NotEnoughNodes") throw thrown;
      if (!isPending(volume)) await this.#say(name, error.message, signal);
    }
  }

  #isAbandoned(volume: MeshStorVolume): boolean {
    const { clock, waiters } = this.#deps;
    if (!isPending(volume) || !isUnused(volume.status)) return false;
    const { name, creationTimestamp } = volume.metadata;
    const age = clock.wallMs() - Date.parse(creationTimestamp ?? "");
    const silence = clock.nowMs() - Math.max(this.#startedMs, waiters.lastCallMs(name) ?? 0);
    return age > ABANDONED_MS && silence > ABANDONED_MS;
  }

  /** Why a volume that was made by hand has no place. */
  async #say(name: string, message: string, signal: AbortSignal): Promise<void> {
    const write = (v: MeshStorVolume) => (isUnused(v.status) && v.status?.message !== message ? { ...v.status, phase: v.status?.phase ?? ("New" as const), message } : null);
    await updateStatus(this.#deps.client, name, write, { signal });
  }

  async #summarise(name: string, signal: AbortSignal): Promise<void> {
    const shown = this.#deps.cache.volume(name);
    if (!shown || this.#told(shown) === null) return;
    await updateStatus(this.#deps.client, name, (v) => (v.metadata.uid === shown.metadata.uid ? this.#told(v) : null), { signal });
  }

  #told(volume: MeshStorVolume): VolumeStatus | null {
    const { cache, clock } = this.#deps;
    const owner = volume.status?.owner?.nodeName;
    if (owner === undefined) return toldAtRest(volume, clock);
    // While nothing is heard of the API, no silence says anything.
    return cache.isStale() ? null : toldOfOwner(volume, clock, !cache.nodes().some((node) => node.name === owner && node.ready));
  }
}
