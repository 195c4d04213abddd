/**
 * Watches the connections and the arrays of owned volumes several times a second, so that a loss is acted on long
 * before the next tick (I1): of a connection, which holds writes until it is recorded, and of a member that MD failed by
 * itself, whose record must follow at once (I1's named residual). One small sysfs attribute per controller and array;
 * nothing where none is in use. A connection that this program itself ends is no loss.
 */
import type { Logger } from "../base/log.ts";
import type { Connection, HostSnapshot } from "../core/observed.ts";
import type { HostPort } from "./ports.ts";

/** How often controllers and arrays are looked at; part of the detection time that docs/reference/bounds.md states. */
export const LOSS_POLL_MS = 250;

export interface LossWatchDeps {
  host: Pick<HostPort, "controllersLive" | "degraded">;
  log: Logger;
  /** Monotonic ms. */
  nowMs(): number;
  latest(): Pick<HostSnapshot, "connections" | "mirrors"> | null;
  /** Has the volumes looked at that use one of these controllers or arrays. */
  wakeFor(lost: readonly string[]): void;
}

export class LossWatch {
  readonly #deps: LossWatchDeps;
  /** Controllers that were lost at the last look. */
  #reported = new Set<string>();
  /** Arrays that lacked more members than the last look at the whole host had seen, and how many. */
  #short = new Map<string, number>();
  /** When each controller in use was last seen live (monotonic ms). */
  readonly #liveAt = new Map<string, number>();
  /** NQNs that this program disconnects; each is connected only once, so it is given up for good. */
  readonly #givenUp = new Set<string>();

  constructor(deps: LossWatchDeps) {
    this.#deps = deps;
  }

  /** The same host, whose disconnects this watch knows of before they begin. */
  toldBy(host: HostPort): HostPort {
    const apply: HostPort["apply"] = (action, onProgress) => {
      if (action.kind === "Disconnect") this.#givenUp.add(action.nqn);
      return host.apply(action, onProgress);
    };
    return { ...host, apply };
  }

  /** Looks until the signal aborts. */
  start(signal: AbortSignal): void {
    let busy = false;
    const timer = setInterval(() => {
      if (busy) return;
      busy = true;
      void Promise.all([this.look(), this.lookAtArrays()])
        .catch((error: unknown) => this.#deps.log.warn("connections and arrays cannot be looked at", { error: String(error) }))
        .finally(() => {
          busy = false;
        });
    }, LOSS_POLL_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
  }

  /** Looks at the arrays once; tells once of what the last look at the whole host did not see. */
  async lookAtArrays(): Promise<void> {
    const known = this.#deps.latest()?.mirrors ?? [];
    if (known.length === 0) return;
    const counts = await this.#deps.host.degraded(known.map((m) => m.device));
    const short = new Map(known.flatMap((m, i) => (counts[i]! > m.degraded ? [[m.device, counts[i]!] as const] : [])));
    const fresh = [...short].filter(([device, count]) => count > (this.#short.get(device) ?? 0)).map(([device]) => device);
    this.#short = short;
    if (fresh.length === 0) return;
    this.#deps.log.warn("members failed", { arrays: fresh });
    this.#deps.wakeFor(fresh);
  }

  /** Looks at the connections once; tells of every loss once. */
  async look(): Promise<void> {
    const looked = this.#watched();
    const atMs = this.#deps.nowMs();
    const lost = await this.#lost(looked);
    this.#note(looked, lost, atMs);
    // Asked again: the disconnect may have begun while it was looked.
    const still = new Set(this.#watched());
    const fresh = lost.filter((controller) => !this.#reported.has(controller) && still.has(controller));
    this.#reported = new Set(lost);
    if (fresh.length === 0) return;
    this.#deps.log.warn("connections lost", { controllers: fresh });
    this.#deps.wakeFor(fresh);
  }

  /** When the controller was last seen live; what proves an owner between two looks at the whole host (I10). */
  liveAt(controller: string): number | null {
    return this.#liveAt.get(controller) ?? null;
  }

  #note(looked: readonly string[], lost: readonly string[], atMs: number): void {
    for (const controller of this.#liveAt.keys()) if (!looked.includes(controller)) this.#liveAt.delete(controller);
    for (const controller of looked) if (!lost.includes(controller)) this.#liveAt.set(controller, atMs);
  }

  async #lost(controllers: readonly string[]): Promise<string[]> {
    if (controllers.length === 0 || (await this.#deps.host.controllersLive(controllers))) return [];
    const live = await Promise.all(controllers.map((controller) => this.#deps.host.controllersLive([controller])));
    return controllers.filter((_, at) => live[at] !== true);
  }

  #watched(): string[] {
    const connections: readonly Connection[] = this.#deps.latest()?.connections ?? [];
    for (const nqn of this.#givenUp) if (!connections.some((c) => c.nqn === nqn)) this.#givenUp.delete(nqn);
    return connections.filter((c) => !this.#givenUp.has(c.nqn)).map((c) => c.controller);
  }
}
