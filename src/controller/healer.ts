/**
 * The shell of core/healing: remembers since when it has seen what, asks planHealing on what the informers show, and where it
 * wants to write, asks again on quorum reads inside the placer's queue, so that no two decisions take the same hole.
 */
import type { MeshStorVolume } from "../api/volume.ts";
import { rebuildsOf } from "../core/healing/guards.ts";
import type { HealingInput } from "../core/healing/input.ts";
import { healingLimitsOf } from "../core/healing/limits.ts";
import { planHealing } from "../core/healing/plan-healing.ts";
import { afterSight, type Sights } from "../core/healing/sight.ts";
import type { Cluster } from "../core/placement/types.ts";
import { NODES } from "../kube/resources.ts";
import { withRest } from "./at-rest.ts";
import { candidateDrives, reservationsOf } from "./cluster.ts";
import { type ControllerDeps, isoNow } from "./deps.ts";
import type { Placer } from "./placer.ts";

const LIMITS = healingLimitsOf();

export class Healer {
  readonly #deps: ControllerDeps;
  readonly #placer: Placer;
  /** By the volume's UID. */
  readonly #sights = new Map<string, Sights>();

  constructor(deps: ControllerDeps, placer: Placer) {
    this.#deps = deps;
    this.#placer = placer;
  }

  /** One look at a volume, and one step of its healing if there is one. */
  async pass(volume: MeshStorVolume, signal: AbortSignal): Promise<void> {
    const { cache, clock } = this.#deps;
    const { name, uid = "" } = volume.metadata;
    const cluster = { nodes: cache.nodes(), drives: candidateDrives(cache.devices()), reservations: reservationsOf(cache.volumes()) };
    // A gap in the observation begins every story anew.
    if (cache.isStale()) return this.#sights.clear();
    this.#sights.set(uid, afterSight(this.#sights.get(uid) ?? {}, volume, cluster, clock.nowMs()));
    if (planHealing(this.#input(volume, cluster, rebuildsOf(cache.volumes()), cache.nodeNames())).kind === "none") return;
    const nodeNames = await this.#namesOf(volume, signal);
    await this.#placer.decide(
      name,
      (v, fresh, volumes) => {
        if (v.metadata.uid !== uid) return null;
        const healing = planHealing(this.#input(v, fresh, rebuildsOf(volumes), nodeNames));
        return healing.kind === "none" ? null : { status: withRest(v, healing.status), why: healing.why };
      },
      signal,
    );
  }

  forget(uid: string): void {
    this.#sights.delete(uid);
  }

  /** Who is gone for good is never taken from a cache. */
  async #namesOf(volume: MeshStorVolume, signal: AbortSignal): Promise<Set<string>> {
    const cached = this.#deps.cache.nodeNames();
    if ((volume.status?.partitions ?? []).every((p) => cached.has(p.nodeID))) return cached;
    return new Set((await this.#deps.client.list(NODES, { signal })).items.map((node) => node.metadata.name));
  }

  #input(volume: MeshStorVolume, cluster: Cluster, rebuilds: ReadonlyMap<string, number>, nodeNames: ReadonlySet<string>): HealingInput {
    const { cache, clock, newID } = this.#deps;
    const ids = Array.from({ length: volume.spec.drivesPerCopy }, newID);
    const sights = this.#sights.get(volume.metadata.uid ?? "") ?? {};
    const times = { nowMs: clock.nowMs(), wallMs: clock.wallMs(), now: isoNow(clock) };
    return { volume, cluster, nodeNames, rebuilds, sights, ...times, stale: cache.isStale(), limits: LIMITS, ids };
  }
}
