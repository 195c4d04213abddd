/**
 * Compare-and-swap of a volume's status: linearizable GET, `mutate`, PUT /status with the resource version read.
 *
 * **Writes in doubt (Z2).** A PUT without an answer may have landed, and may land later. It carries the resource
 * version that it replaces, so it is dead as soon as the object has any other version. That gives the two ways in which
 * a doubt is settled here, and there is no third:
 *
 * 1. a fresh read shows another version. If the status is exactly what was sent, that is success: it was put there after
 *    this call's own read, and nothing sent before can land any more. If not, `mutate` decides anew on what is there now;
 * 2. a later PUT of this call, over the same version, is answered 200: it superseded the one in doubt.
 *
 * Where neither can be had (no fresh read, no attempt left, `mutate` wants no write any more while the old one can still
 * land) the call throws {@link WriteInDoubt}: the caller must take it that the write may or may not stand.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { MeshStorError } from "../base/errors.ts";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { KubeError, type KubeClient } from "./client.ts";
import { VOLUMES } from "./resources.ts";

export interface UpdateOptions {
  signal?: AbortSignal | undefined;
  /** Most writes that are tried; 6 unless told. */
  attempts?: number;
  /**
   * Insist on a 200 to a write of this call: rule 1 above then never counts as success, `mutate` is evaluated again
   * instead. For a `mutate` that always changes something (raising a generation).
   */
  definite?: boolean;
  /** For tests: the wait between two attempts. */
  sleep?: (ms: number) => Promise<void>;
  /** Deadline of each request. */
  timeoutMs?: number | undefined;
}

/** How an update ended. */
export interface UpdateResult {
  volume: MeshStorVolume;
  /** written: answered 200. landed: in doubt first, then seen by rule 1. unchanged: `mutate` wanted no write. */
  outcome: "written" | "landed" | "unchanged";
}

/** A write was sent, its fate could not be found out, and it may still land. `status` is 0 and `ambiguous` true. */
export class WriteInDoubt extends KubeError {
  /** The resource version that the write replaces: once a read shows another one, the write cannot land any more. */
  readonly resourceVersion: string;
  readonly sent: VolumeStatus;
  constructor(name: string, doubt: Doubt, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `a status write of volume ${name} over version ${doubt.resourceVersion} may or may not have landed: ${reason}`;
    super({ status: 0, reason: "InDoubt", message, ambiguous: true, cause });
    this.name = "WriteInDoubt";
    this.resourceVersion = doubt.resourceVersion;
    this.sent = doubt.sent;
  }
}

interface Doubt {
  resourceVersion: string;
  sent: VolumeStatus;
}
type Mutate = (volume: MeshStorVolume) => VolumeStatus | null;

/**
 * Changes a volume's status by compare-and-swap and returns the volume as it stands afterwards. `mutate` gets a fresh
 * (linearizable) copy on **every** attempt and returns the whole new status, or null for no write; it may throw to give up.
 * Tried again only after a conflict or a settled doubt.
 * @throws KubeError when the API refuses or does not answer (isConflict when the attempts are used up).
 * @throws MeshStorError Unsafe when the server did not store what was written (an older CRD).
 * @throws WriteInDoubt see above.
 */
export async function updateStatus(client: KubeClient, name: string, mutate: Mutate, options: UpdateOptions = {}): Promise<MeshStorVolume> {
  return (await updateStatusResult(client, name, mutate, options)).volume;
}

/** {@link updateStatus}, saying also how it ended. */
export async function updateStatusResult(client: KubeClient, name: string, mutate: Mutate, options: UpdateOptions = {}): Promise<UpdateResult> {
  const attempts = options.attempts ?? 6;
  const request = { signal: options.signal, timeoutMs: options.timeoutMs };
  /** Writes whose fate is open: all of them replace the version that was read last. */
  let doubts: Doubt[] = [];
  try {
    for (let attempt = 1; ; attempt += 1) {
      const volume = await client.get(VOLUMES, name, request);
      const resourceVersion = volume.metadata.resourceVersion!;
      const settled = doubts.filter((doubt) => doubt.resourceVersion !== resourceVersion);
      doubts = doubts.filter((doubt) => doubt.resourceVersion === resourceVersion);
      if (!options.definite && settled.some((doubt) => isDeepStrictEqual(doubt.sent, volume.status))) return { volume, outcome: "landed" };
      if (attempt > attempts) throw usedUp(name, attempts);

      const wanted = mutate(volume);
      if (wanted === null) {
        if (doubts.length > 0) throw new Error("now no write is wanted any more");
        return { volume, outcome: "unchanged" };
      }
      const sent = JSON.parse(JSON.stringify(wanted)) as VolumeStatus;
      try {
        const written = await client.replaceStatus(VOLUMES, { ...volume, status: sent }, request);
        requireComplete(name, sent, written.status);
        return { volume: written, outcome: "written" };
      } catch (error) {
        if (!(error instanceof KubeError) || !(error.ambiguous || error.isConflict)) throw error;
        if (error.ambiguous) doubts.push({ resourceVersion, sent });
        await pause(attempt, error, options);
      }
    }
  } catch (error) {
    const doubt = doubts[0];
    // An object that is gone takes no write any more.
    if (doubt === undefined || (error instanceof KubeError && error.isNotFound)) throw error;
    throw new WriteInDoubt(name, doubt, error);
  }
}

/** The server drops fields that its CRD does not know, without a word; a record with holes must not be built upon. */
function requireComplete(name: string, sent: VolumeStatus, kept: VolumeStatus | undefined): void {
  if (isDeepStrictEqual(sent, kept)) return;
  const lost = Object.keys(sent).filter((key) => !isDeepStrictEqual(sent[key as keyof VolumeStatus], kept?.[key as keyof VolumeStatus]));
  const fields = lost.map((key) => `status.${key}`).join(", ") || "the status";
  throw new MeshStorError(
    "Unsafe",
    `the API server did not keep ${fields} of volume ${name} as written: the CustomResourceDefinition in the cluster is not the one of this program.`,
  );
}

function usedUp(name: string, attempts: number): KubeError {
  const message = `volume ${name}: the status was changed by others in each of ${attempts} attempts to write it`;
  return new KubeError({ status: 409, reason: "Conflict", message });
}

/** A short wait with jitter before the next attempt, longer after a server in trouble. */
async function pause(attempt: number, error: KubeError, options: UpdateOptions): Promise<void> {
  const usual = Math.min(500, (error.ambiguous ? 200 : 10) * 2 ** (attempt - 1));
  const wait = Math.min(2000, Math.max(usual, error.retryAfterMs ?? 0)) * (0.5 + Math.random() / 2);
  await (options.sleep?.(wait) ?? sleep(wait, undefined, options.signal ? { signal: options.signal } : {}));
}
