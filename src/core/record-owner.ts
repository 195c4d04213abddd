/** Changes of ownership in the record: claim, takeover, hand-over, confirmation by the former owner, release (I2, I4, I10). Pure. */
import type { FormerOwner, MeshStorVolume, MirrorRecord, OwnerRecord, Verdict, VolumeStatus } from "../api/volume.ts";
import type { ClaimFrom } from "./action.ts";
import { isDeclaredDead } from "./judge.ts";
import type { RecordContext, RecordResult } from "./record-base.ts";
import { accept, findPartition, refuse } from "./record-base.ts";

/**
 * I2: every assembly takes a new epoch, also by the same node. Allowed: nobody owns the volume (clean
 * or recorded unclean stop), or this very node owns it from an earlier boot or an earlier attempt, or the
 * recorded owner is the very one that was judged to be gone (`from`), in the epoch that was judged.
 */
export function recordClaim(from: ClaimFrom | null, volume: MeshStorVolume, context: RecordContext): RecordResult {
  const status = volume.status ?? {};
  const previous = status.owner;
  const refusal = whyNot(from, volume, context);
  if (refusal !== null) return refuse(refusal);
  const former = previous && from ? formerOf(previous, status.epoch ?? 0, from, context.now) : null;
  const mirrors = status.mirrors ?? firstMirrors(status, volume, context.ids);
  if (mirrors.some((m) => m.inSync.length === 0)) return refuse("a mirror has no member that is ready");
  const never = mirrors.every((m) => !m.created);
  const start: OwnerRecord["start"] = never ? "First" : previous || status.lastStop !== "Clean" ? "Unclean" : "Clean";
  const owner: OwnerRecord = { ...context.me, since: context.now, start, ...(context.promiseMs !== null && { promiseMs: context.promiseMs }) };
  const { lastStop: _lastStop, handOver: _handOver, ...rest } = status;
  const list = former ? { former: [...(status.former ?? []), former] } : {};
  return accept({ ...rest, ...list, mirrors, owner, epoch: (status.epoch ?? 0) + 1, nodeName: context.me.nodeName });
}

/** Why the claim does not fit the record as just read; null if it does. */
function whyNot(from: ClaimFrom | null, volume: MeshStorVolume, context: RecordContext): string | null {
  const status = volume.status ?? {};
  const { owner } = status;
  if (volume.metadata.deletionTimestamp) return "the volume is being deleted";
  if (status.epoch !== undefined && status.epoch !== context.epoch) return `the record is at epoch ${status.epoch}, the plan was made for ${context.epoch}`;
  if (owner === undefined || owner.nodeUID === context.me.nodeUID) return from ? "the owner that was judged to be gone is not the volume's owner any more" : null;
  if (from === null || owner.nodeUID !== from.nodeUID || owner.bootID !== from.bootID) return `node ${owner.nodeName} owns the volume`;
  // Z16: one that is silent and promised nothing can serve reads for ever.
  if (!isDeclaredDead(from.judged) && owner.promiseMs === undefined) return `node ${owner.nodeName} is silent, and did not promise to stop serving by itself (I10)`;
  return isAlone(status, owner) ? `every member of R of some mirror is on node ${owner.nodeName} itself` : null;
}

/** I10: an owner whose R is its own needs no proof that it was not replaced, because the record lets nobody replace it. */
function isAlone(status: VolumeStatus, owner: OwnerRecord): boolean {
  return (status.mirrors ?? []).some((m) => m.inSync.every((uuid) => findPartition(status, uuid)?.nodeID === owner.nodeName));
}

/** I10: how long the replaced owner must be waited for. */
function formerOf(previous: OwnerRecord, epoch: number, from: ClaimFrom, at: string): FormerOwner {
  const { nodeName, nodeUID, bootID, promiseMs = 0 } = previous;
  return { nodeName, nodeUID, bootID, epoch, judged: from.judged, waitMs: isDeclaredDead(from.judged) ? 0 : promiseMs, at };
}

/** The first R: every member whose zeroes are proven; all of them are identical (I7). */
function firstMirrors(status: VolumeStatus, volume: MeshStorVolume, ids: readonly string[]): MirrorRecord[] {
  return Array.from({ length: volume.spec.drivesPerCopy }, (_, index) => ({
    index,
    arrayUUID: ids[index]!,
    created: false,
    generation: 1,
    inSync: (status.partitions ?? []).filter((p) => p.mirror === index && p.state === "Created").map((p) => p.partitionUUID),
  }));
}

/** A wish, nothing more: the owner of this epoch obeys if nobody uses the volume there. */
export function recordHandOver(status: VolumeStatus, context: RecordContext): RecordResult {
  if (!status.owner || status.owner.nodeUID === context.me.nodeUID) return refuse("no other node owns the volume");
  if (status.epoch !== context.epoch) return refuse(`the record is at epoch ${status.epoch}, the plan was made for ${context.epoch}`);
  if (status.handOver?.epoch === context.epoch) return accept(status);
  return accept({ ...status, handOver: { nodeName: context.me.nodeName, epoch: context.epoch, at: context.now } });
}

/** I4: nothing of an earlier epoch is left on a node; it says so itself, or somebody vouches that it does not run. */
export function recordTornDown(status: VolumeStatus, action: { nodeUID: string; judged: Verdict | null }, context: RecordContext): RecordResult {
  if (action.nodeUID !== context.me.nodeUID && !isDeclaredDead(action.judged)) return refuse("only the former owner itself can say what is left on it");
  const left = (status.former ?? []).filter((f) => f.nodeUID !== action.nodeUID);
  if (left.length === (status.former ?? []).length) return refuse("the node is no former owner of the volume");
  return accept(withFormer(status, left));
}

/**
 * Every mirror of the epoch runs, on members that were cut off and waited for: no former owner can prove anything any more
 * (I10). They stay in the list until they are torn down: what they have assembled is found through the record.
 */
export function recordFenced(status: VolumeStatus): RecordResult {
  return accept(
    withFormer(
      status,
      (status.former ?? []).map((f) => ({ ...f, waited: true })),
    ),
  );
}

function withFormer(status: VolumeStatus, former: FormerOwner[]): VolumeStatus {
  const { former: _former, ...rest } = status;
  return former.length > 0 ? { ...rest, former } : rest;
}

/** I8: ownership is given up only after everything is proven gone. Former owners stay: this epoch may never have started. */
export function recordRelease(status: VolumeStatus, clean: boolean): RecordResult {
  const { owner: _owner, nodeName: _nodeName, syncPercentage: _sync, handOver: _handOver, ...rest } = status;
  return accept({ ...rest, lastStop: clean ? "Clean" : "Unclean", mdState: "stopped" });
}
