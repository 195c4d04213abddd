/** What one look at record and kernel adds to what this process knows: since when something holds. Pure. */
import { countedMembers, isProven } from "./fresh.ts";
import type { Seen, Session } from "./session.ts";
import type { VolumeView } from "./view.ts";
import { isHeld } from "./view.ts";

/** When a controller was last seen live between two looks (monotonic ms); null: not since this process began. */
export type LiveAt = (controller: string) => number | null;

/** `atMs`: when the kernel was looked at (monotonic ms), never later than the plan that follows; `liveAt`: what was seen meanwhile. */
export function afterLook(session: Session, view: VolumeView, atMs: number, liveAt: LiveAt = () => null): Session {
  const { seen } = session;
  const since = (holds: boolean, known: number | null): number | null => (holds ? (known ?? atMs) : null);
  const next: Seen = {
    firstMs: seen.firstMs ?? atMs,
    // I10: a proof is as old as the look that showed it, never younger.
    provenMs: view.mine && isProven(view, session) ? atMs : provenBefore(view, session, liveAt),
    stuckMs: since(isStuck(view), seen.stuckMs),
    failedMs: since(view.mine && isSplit(view), seen.failedMs),
    cut: cutSince(view, seen, atMs),
    silent: silentSince(view, seen, atMs),
  };
  return { ...session, seen: next };
}

/**
 * I10: a loss comes between two looks, and its proof is no older than the last moment at which all that count were live. Only
 * where a look of this process proved them before: a connection is used once, so the controller was this one ever since.
 */
function provenBefore(view: VolumeView, session: Session, liveAt: LiveAt): number | null {
  const { provenMs } = session.seen;
  if (provenMs === null || !view.mine) return provenMs;
  const times = countedMembers(view, session).map((m) => (m.connection ? liveAt(m.connection.controller) : null) ?? Number.NEGATIVE_INFINITY);
  return Math.max(provenMs, Math.min(...times));
}

/**
 * Z21: a drive that takes requests and answers none shows nothing else. A request of a connection has a time-out of ours, so
 * only members on this node's drives are looked at.
 */
function silentSince(view: VolumeView, seen: Seen, atMs: number): Seen["silent"] {
  const waiting = view.members.flatMap((m) =>
    m.local && m.inArray !== null && m.window !== null && m.window.inflight > 0 ? [{ uuid: m.uuid, completed: m.window.completed }] : [],
  );
  return Object.fromEntries(
    waiting.map(({ uuid, completed }) => {
      const known = seen.silent[uuid];
      return [uuid, known?.completed === completed ? known : { completed, sinceMs: atMs }];
    }),
  );
}

/** Suspended, or a member is held: an unmount would not end. */
export function isStuck(view: VolumeView): boolean {
  return (view.device !== null && (view.device.suspended || view.device.suspending)) || view.members.some(isHeld);
}

/** I1's residual: MD goes on without a member that the record still names. */
export function isSplit(view: VolumeView): boolean {
  return view.members.some((m) => m.recorded && (m.inArray?.flags.includes("faulty") ?? false));
}

/** I10: the wait at a provider begins when the record shows the epoch and the kernel no older export. */
function cutSince(view: VolumeView, seen: Seen, atMs: number): Seen["cut"] {
  const known = seen.cut.epoch === view.epoch ? seen.cut.sinceMs : {};
  const free = view.members.filter((m) => m.local && m.exports.every((e) => e.epoch === view.epoch));
  return { epoch: view.epoch, sinceMs: Object.fromEntries(free.map((m) => [m.uuid, known[m.uuid] ?? atMs])) };
}
