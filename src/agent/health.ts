/** What the node program's health is asked of, once it runs: its socket, its sight of the API, its heartbeat. */
import type { Health } from "../base/health.ts";
import { answers, socketPath } from "../csi/socket.ts";

/** A watch is continued every 45 s; one that is silent for a minute is dropped (kube/informer.ts). */
const SILENT_MS = 70_000;
/** Other nodes take a node for gone after much longer (core/bounds.ts). */
const HEARTBEAT_MS = 30_000;

interface Aged {
  /** Milliseconds since it was last heard of; Infinity: never. */
  ageMs(): number;
}

/** From now on the program serves; a restart cures only a socket that is gone. */
export function reportHealth({ health, endpoint, volumes, lease }: { health: Health; endpoint: string; volumes: Aged; lease: Aged }): void {
  health.live(async () => ((await answers(socketPath(endpoint))) ? null : `nobody answers on ${endpoint}`));
  health.ready(() => late("the API server was not heard of", volumes, SILENT_MS));
  health.ready(() => late("this node's heartbeat was not renewed", lease, HEARTBEAT_MS));
  health.waits(null);
}

function late(what: string, watched: Aged, mostMs: number): string | null {
  const age = watched.ageMs();
  if (age <= mostMs) return null;
  return age === Infinity ? `${what} yet` : `${what} for ${Math.round(age / 1000)} s; what runs goes on running, and a loss waits for it`;
}
