/** Entries of nodes that are gone for good: nobody will ever wipe those partitions. Pure. */
import type { PartitionRecord, VolumeStatus } from "../../api/volume.ts";
import { mayBeWiped } from "../record.ts";
import type { HealingInput } from "./input.ts";

/** The record without entries that only wait for a node whose Node object is gone; a drive that is merely away is waited for. */
export function disown(status: VolumeStatus, input: HealingInput): { status: VolumeStatus; why: string[] } {
  const { nodeNames, volume } = input;
  if (nodeNames === null) return { status, why: [] };
  const deleted = volume.metadata.deletionTimestamp !== undefined && !status.owner;
  const isGone = (node: string) => !nodeNames.has(node);
  // What a former owner may have assembled is found through the entries, until that node is gone as well (I4).
  if ((status.former ?? []).some((f) => !isGone(f.nodeName))) return { status, why: [] };
  const gone = (p: PartitionRecord) => isGone(p.nodeID) && (deleted || mayBeWiped(p));
  const partitions = status.partitions ?? [];
  const left = partitions.filter((p) => !gone(p));
  if (left.length === partitions.length) return { status, why: [] };
  const why = partitions.filter(gone).map((p) => `${p.partitionUUID} is disowned: node ${p.nodeID} is gone for good`);
  return { status: { ...status, partitions: left }, why };
}
