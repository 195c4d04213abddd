/**
 * Which nodes are there: judged by how long ago this program saw the node's Lease change, on its own
 * monotonic clock. Only a lease that is seen for the first time is compared with the wall clock, so
 * that a node that died long before this program started does not count as alive for a while.
 */
import { LeaseObserver } from "../kube/lease.ts";
import type { Lease } from "../kube/resources.ts";

/** A node whose lease has not changed for longer gets no new copies. */
export const FRESH_MS = 40_000;

export interface HeartbeatClock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Wall clock, milliseconds since 1970. */
  wallMs(): number;
}

/** The heartbeats of all nodes, fed from an informer of their leases. */
export class Heartbeats {
  readonly #clock: HeartbeatClock;
  readonly #observer: LeaseObserver;
  /** Leases that were old when first seen, with the renewal that was old. */
  readonly #old = new Map<string, string | undefined>();

  constructor(clock: HeartbeatClock) {
    this.#clock = clock;
    this.#observer = new LeaseObserver(() => clock.nowMs());
  }

  /** Takes in what the informer shows of a lease; null once it is deleted. */
  observe(name: string, lease: Lease | null): void {
    const first = this.#observer.ageMs(name) === null;
    this.#observer.observe(name, lease);
    const renewTime = lease?.spec.renewTime;
    if (lease !== null && first && this.#clock.wallMs() - Date.parse(renewTime ?? "") > FRESH_MS) this.#old.set(name, renewTime);
    else if (lease === null || this.#old.get(name) !== renewTime) this.#old.delete(name);
  }

  /** Every age begins anew: nothing could be seen for a while. */
  restart(): void {
    this.#observer.restart();
  }

  /** True if there is such a lease. */
  knows(name: string): boolean {
    return this.#observer.ageMs(name) !== null;
  }

  isFresh(name: string): boolean {
    const age = this.#observer.ageMs(name);
    return age !== null && age <= FRESH_MS && !this.#old.has(name);
  }
}
