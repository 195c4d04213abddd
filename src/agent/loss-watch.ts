/**
 * Watches the connections of owned volumes several times a second, so that a loss is acted on long
 * before the next tick (I1). One small sysfs attribute per controller; nothing where none is in use.
 */
import type { Logger } from "../base/log.ts";
import type { HostSnapshot } from "../core/observed.ts";
import type { HostPort } from "./ports.ts";

/** How often controllers are looked at; part of the detection time that docs/reference/bounds.md states. */
export const LOSS_POLL_MS = 250;

export interface LossWatchDeps {
  host: HostPort;
  log: Logger;
  latest(): HostSnapshot | null;
  /** Volumes that use a controller. */
  wakeFor(controllers: readonly string[]): void;
}

/** Starts the watch; it ends with the signal. */
export function watchLosses(deps: LossWatchDeps, signal: AbortSignal): void {
  let busy = false;
  let reported = new Set<string>();
  const timer = setInterval(() => {
    const controllers = (deps.latest()?.connections ?? []).map((c) => c.controller);
    if (busy || controllers.length === 0) return;
    busy = true;
    void look(deps, controllers, reported)
      .then((lost) => {
        reported = lost;
      })
      .catch((error: unknown) => deps.log.warn("connections cannot be looked at", { error: String(error) }))
      .finally(() => {
        busy = false;
      });
  }, LOSS_POLL_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

async function look(deps: LossWatchDeps, controllers: string[], reported: Set<string>): Promise<Set<string>> {
  if (await deps.host.controllersLive(controllers)) return new Set();
  const lost = new Set<string>();
  for (const controller of controllers) if (!(await deps.host.controllersLive([controller]))) lost.add(controller);
  const fresh = [...lost].filter((c) => !reported.has(c));
  if (fresh.length > 0) {
    deps.log.warn("connections lost", { controllers: fresh });
    deps.wakeFor(fresh);
  }
  return lost;
}
