/** What decides about takeover on this node. */
import { boundsOf } from "../core/bounds.ts";
import type { TakeoverPort } from "./ports.ts";

/** Nobody is judged, and nothing is promised: until nodes and heartbeats are observed here, and a guard runs (decision 0011). */
export function noTakeover(): TakeoverPort {
  return { peers: () => null, bounds: boundsOf(), promiseMs: null, unattended: () => false };
}
