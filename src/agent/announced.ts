/**
 * Connects that are refused because they come early. A provider announces an export in the record and then
 * makes it (Z6), so its owner may ask for it a moment before it is there: for a while that is a wait, no failure.
 */
import { MeshStorError } from "../base/errors.ts";
import type { HostAction } from "../core/action.ts";

/** From the first refused connect until it counts as a failure. */
export const ANNOUNCED_MS = 10_000;

/** One volume's exports that were announced and not found. */
export class Announced {
  /** By partition: the export that was asked for last, and when it was first refused. */
  readonly #refused = new Map<string, { nqn: string; sinceMs: number }>();

  /** The error to go on with: a wait if the connect was only early, else the one given. */
  explain(action: HostAction & { why: string }, error: MeshStorError, nowMs: number): MeshStorError {
    if (action.kind !== "Connect" || error.code !== "CommandFailed") return error;
    const known = this.#refused.get(action.partitionUUID);
    const first = known?.nqn === action.nqn ? known : { nqn: action.nqn, sinceMs: nowMs };
    this.#refused.set(action.partitionUUID, first);
    if (nowMs - first.sinceMs >= ANNOUNCED_MS) return error;
    return new MeshStorError("Waiting", `${action.why}: announced, and not offered yet at ${action.address} port ${action.port}`, { cause: error });
  }
}
