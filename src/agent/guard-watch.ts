/** As long as this program runs a guard does too: it is started again as soon as it ends, and what it watched is armed anew (Z16). */
import { asMeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";

/** The guard of this host. */
export interface GuardPort {
  /** One of this program's version runs when this ends. @throws MeshStorError HostUnsuitable */
  ensure(): Promise<void>;
  /** Calls `onGone` whenever one that ran has ended. */
  watch(onGone: () => void, signal: AbortSignal): void;
}

export interface GuardWatchDeps {
  guard: GuardPort;
  /** The guard ended: whoever relied on it looks again. */
  onGone: () => void;
  log: Logger;
  signal: AbortSignal;
  /** Time between two attempts to start one, in ms. */
  retryMs?: number;
}

/** Watches the guard that runs, until the signal aborts. */
export function watchOverGuard(deps: GuardWatchDeps): void {
  const { guard, signal, log } = deps;
  guard.watch(() => {
    if (signal.aborted) return;
    log.warn("the guard has ended; it is started again");
    deps.onGone();
    void startAgain(deps);
  }, signal);
}

async function startAgain(deps: GuardWatchDeps): Promise<void> {
  const { guard, log, signal, retryMs = 1_000 } = deps;
  while (!signal.aborted) {
    try {
      await guard.ensure();
      return deps.onGone();
    } catch (error) {
      log.error("no guard runs on this host", { error: asMeshStorError(error).message });
    }
    await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
  }
}
