/** The API server of the model: one object, optimistic concurrency, watches that lag, writes in doubt that land late. */
import type { MeshStorVolume, VolumeStatus } from "../../api/volume.ts";
import { MeshStorError } from "../../base/errors.ts";
import type { RecordAction } from "../action.ts";
import type { RecordContext } from "../record.ts";
import { summariseAtRest } from "../summary.ts";
import type { PendingPut, Point, World } from "./world.ts";
import { recordChange } from "./record-text.ts";
import { hostError, latest, say } from "./world.ts";

/** Puts a new version of the volume; null: the object is gone. */
export function put(w: World, volume: MeshStorVolume | null): void {
  const finished = volume?.metadata.deletionTimestamp !== undefined && (volume.status?.partitions ?? []).length === 0;
  const before = latest(w);
  w.api.versions.push(volume);
  const version = w.api.versions.length - 1;
  say(w, () => `record ${version}: ${recordChange(before, volume)}`);
  const { epoch, owner } = volume?.status ?? {};
  if (epoch !== undefined && owner !== undefined) w.epochOwner.set(epoch, owner.nodeUID);
  // The controller takes the finalizer off once no partition is left.
  if (finished) w.api.versions.push(null);
}

/** Lands a write on its way, or finds that another version stands in its place. */
export function landPut(w: World, pending: PendingPut): boolean {
  w.api.pending = w.api.pending.filter((p) => p !== pending);
  const volume = latest(w);
  if (pending.over !== w.api.versions.length - 1 || volume === null) return false;
  pending.landed = true;
  put(w, { ...volume, status: pending.status });
  return true;
}

const ATTEMPTS = 6;

/** agent/apply-record.ts and kube/update.ts: read, change, write over exactly what was read. Yields while the write is under way. */
export function* compareAndSwap(w: World, from: string, action: RecordAction, context: RecordContext): Generator<Point, MeshStorVolume> {
  // A loss and a retirement insist on an answer to a write of their own (Z2).
  const definite = action.kind === "RecordOut" || action.kind === "RecordRetire";
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (w.api.cut.has(from)) throw new MeshStorError("ApiUnavailable", "the API does not answer");
    const volume = latest(w);
    if (volume === null) throw hostError("VolumeNotFound", "the volume does not exist any more");
    const result = w.protocol.record(action, volume, context);
    if (!result.ok) throw hostError("RecordConflict", `${action.kind}: ${result.refusal}`);
    const pending: PendingPut = { over: w.api.versions.length - 1, status: written(volume, result.status), from, landed: false };
    w.api.pending.push(pending);
    yield { moment: "within", kind: action.kind };
    if (w.api.cut.has(from) || w.rng.chance(w.trouble)) throw new MeshStorError("ApiUnavailable", `${action.kind} may or may not have been written`);
    const before = pending.landed;
    if (before ? !definite : landPut(w, pending)) {
      const now = before ? latest(w) : w.api.versions[pending.over + 1]!;
      if (now === null) throw hostError("VolumeNotFound", "the volume does not exist any more");
      say(w, `${from}: ${action.kind} stands in version ${w.api.versions.length - 1}`);
      return now;
    }
  }
  throw hostError("RecordConflict", `${action.kind}: changed by others too often`);
}

function written(volume: MeshStorVolume, status: VolumeStatus): VolumeStatus {
  return status.owner ? status : { ...status, ...summariseAtRest({ ...volume, status }) };
}
