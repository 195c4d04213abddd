/**
 * Time in the model: what happens by itself while it passes. Keep-alives end, guards suspend at the last moment that the
 * promise allows, heartbeats are written and heard, each node by its own clock.
 */
import { LEASE_RENEW_MS } from "./builders.ts";
import { DETECT_MS } from "../bounds.ts";
import type { Peer, Peers } from "../judge.ts";
import type { ConnState, NodeState, World } from "./world.ts";
import { clockOf, say } from "./world.ts";

/** A guard's poll, its command and its clock: less than the margin that is promised, and nearly all of it. */
const GUARD_LATE_MS = 2_800;

export function advance(w: World, ms: number): void {
  w.nowMs += ms;
  for (const n of w.nodes) {
    for (const c of n.conns) if (c.broken && w.nowMs - c.brokenAtMs >= DETECT_MS) seeLoss(n, c);
    stepGuard(w, n);
    if (n.up && !n.agentDown && !w.api.cut.has(n.name) && w.nowMs - n.heartbeatMs >= LEASE_RENEW_MS) n.heartbeatMs = w.nowMs;
  }
  for (const n of w.nodes) hear(w, n);
}

/** The kernel shows that a connection does not answer; it never comes back by itself. */
export function seeLoss(n: NodeState, c: ConnState): void {
  if (c.state !== "live") return;
  c.state = "connecting";
  // The loss watch drops what was seen before.
  n.agent.seen = null;
}

/** Z16: it lives outside of the agent, and looks at nothing but the states of controllers. */
function stepGuard(w: World, n: NodeState): void {
  const guard = n.volumeDevice?.guard;
  if (w.wrong.blindGuard || !guard || !n.volumeDevice || guard.nqns.length === 0) return;
  if (guard.nqns.every((nqn) => n.conns.some((c) => c.nqn === nqn && c.state === "live"))) guard.liveAtMs = w.nowMs;
  if (n.volumeDevice.suspended || w.nowMs - guard.liveAtMs < guard.graceMs + GUARD_LATE_MS) return;
  n.volumeDevice.suspended = true;
  say(w, `${n.name}: the guard suspends the volume`);
}

/** An informer of heartbeats: after a gap every age begins anew (kube/lease.ts). */
function hear(w: World, n: NodeState): void {
  if (!n.up || n.agentDown || w.api.cut.has(n.name)) {
    n.agent.heard = null;
    return;
  }
  n.agent.heard ??= new Map();
  for (const other of w.nodes) {
    const known = n.agent.heard.get(other.name);
    if (known?.mark !== other.heartbeatMs) n.agent.heard.set(other.name, { mark: other.heartbeatMs, atMs: clockOf(w, n) });
  }
}

/** The other nodes as this one sees them now. */
export function peersOf(w: World, n: NodeState): Peers {
  const { heard } = n.agent;
  if (heard === null) return null;
  return new Map(
    w.nodes.map((x): [string, Peer] => {
      const last = heard.get(x.name);
      return [x.name, { nodeUID: x.uid, outOfService: x.outOfService, silentMs: last ? clockOf(w, n) - last.atMs : null }];
    }),
  );
}
