/**
 * What is said as Kubernetes events when the record changes: each change once, by the program that made it, in one sentence.
 * A function of the record before and after, so that nothing is said that was not written. Pure.
 */
import type { FormerOwner, MeshStorVolume, PartitionRecord, VolumeSpec, VolumeStatus } from "../api/volume.ts";
import type { RecordAction } from "./action.ts";
import { sentenceOf } from "./judge.ts";
import { recordedIn } from "./sentence.ts";

/** One thing to say about a volume. */
export interface Telling {
  type: "Normal" | "Warning";
  /** CamelCase, one of a fixed set (docs/reference/states.md). */
  reason: string;
  /** What was being done. */
  action: string;
  /** One sentence. */
  note: string;
}

/** What a node says of a change of the record that it has written itself; `before` may be older than what was replaced. */
export function tellingsOf(kind: RecordAction["kind"], before: VolumeStatus, after: MeshStorVolume): Telling[] {
  if (kind === "RecordClaim") return takeover(before, after.status ?? {});
  if (kind === "RecordOut") return losses(before, after);
  if (kind === "RecordIn") return returns(before, after);
  return kind === "RecordRetired" ? departures(before, after.status ?? {}) : [];
}

/** What is wanted of a volume was changed: by kubectl scale, a VolumeAttributesClass, or by hand; the last writer wins. */
export function wishTellings(before: VolumeSpec, after: MeshStorVolume): Telling[] {
  const fields = (["numberOfCopies", "memberMissingTimeout"] as const).filter((field) => before[field] !== after.spec[field]);
  return fields.map((field) => ({
    type: "Normal",
    reason: "Modified",
    action: "Modify",
    note: `${field} is ${after.spec[field]} now, it was ${before[field]}${writerOf(field, after)}`,
  }));
}

/** Who wrote the field last, as the API server keeps it. */
function writerOf(field: string, { metadata }: MeshStorVolume): string {
  const writers = (metadata.managedFields ?? []).filter((m) => m.subresource !== "status" && JSON.stringify(m.fieldsV1 ?? {}).includes(`"f:${field}"`));
  const last = writers.toSorted((a, b) => (a.time ?? "").localeCompare(b.time ?? "")).at(-1);
  return last?.manager ? `; written by ${last.manager}` : "";
}

/** What the controller says of a change that only a controller makes: a copy is given up, another one is placed. */
export function placementTellings(before: VolumeStatus, after: MeshStorVolume): Telling[] {
  const status = after.status ?? {};
  if (before.mirrors === undefined) return [];
  const old = new Map((before.partitions ?? []).map((p) => [p.partitionUUID, p]));
  const given = (status.partitions ?? []).filter((p) => p.state === "Faulty" && old.get(p.partitionUUID)?.state === "Missing");
  const placed = (status.partitions ?? []).filter((p) => p.state === "Requested" && !old.has(p.partitionUUID) && p.nodeID !== status.owner?.nodeName);
  return [
    ...byNode(given, (node, [first]) => ({
      ...{ type: "Warning", reason: "CopyFaulty", action: "Heal" },
      note: first!.message ?? `the copy on node ${node} was missing for longer than ${after.spec.memberMissingTimeout} s and is given up; the controller finds a place for another`,
    })),
    ...byNode(placed, (node) => ({ ...{ type: "Normal", reason: "CopyPlaced", action: "Place" }, note: `a further copy is placed on node ${node}, which makes and zeroes it` })),
  ];
}

function takeover(before: VolumeStatus, after: VolumeStatus): Telling[] {
  const known = new Set((before.former ?? []).map((f) => `${f.nodeUID} ${f.epoch}`));
  const replaced = (after.former ?? []).find((f) => !known.has(`${f.nodeUID} ${f.epoch}`));
  if (!replaced || !after.owner) return [];
  return [{ type: "Warning", reason: "TakenOver", action: "TakeOver", note: `node ${after.owner.nodeName} takes the volume over in epoch ${after.epoch}: ${gone(replaced)}` }];
}

function gone({ nodeName, judged }: FormerOwner): string {
  return `node ${nodeName} owned it, and ${sentenceOf(judged)}`;
}

/** Members that were in R and are missing now. */
function losses(before: VolumeStatus, after: MeshStorVolume): Telling[] {
  const status = after.status ?? {};
  const was = recordedIn(before);
  const now = recordedIn(status);
  const lost = before.mirrors ? (status.partitions ?? []).filter((p) => was.has(p.partitionUUID) && !now.has(p.partitionUUID) && p.state === "Missing") : [];
  const left = status.mirrors?.map((m) => m.inSync.length) ?? [];
  return byNode(lost, (node) => ({
    ...{ type: "Warning", reason: "CopyLost", action: "RecordOut" },
    note: `the copy on node ${node} is recorded out and the volume goes on with ${Math.min(...left)} of ${after.spec.numberOfCopies} copies; it is brought up to date when it is back`,
  }));
}

/** Members that came into R. */
function returns(before: VolumeStatus, after: MeshStorVolume): Telling[] {
  const status = after.status ?? {};
  if (before.mirrors === undefined) return [];
  const was = recordedIn(before);
  const now = recordedIn(status);
  const joined = (status.partitions ?? []).filter((p) => now.has(p.partitionUUID) && !was.has(p.partitionUUID));
  const counts = status.mirrors?.map((m) => m.inSync.length) ?? [];
  return byNode(joined, (node) => ({
    ...{ type: "Normal", reason: "CopyInSync", action: "RecordIn" },
    note: `the copy on node ${node} is in sync: ${Math.min(...counts)} of ${after.spec.numberOfCopies} copies`,
  }));
}

/** Members that left the volume for good. */
function departures(before: VolumeStatus, after: VolumeStatus): Telling[] {
  const old = new Map((before.partitions ?? []).map((p) => [p.partitionUUID, p.state]));
  const left = (after.partitions ?? []).filter((p) => p.state === "Deleting" && p.detached && old.get(p.partitionUUID) === "Replacing");
  return byNode(left, (node) => ({
    ...{ type: "Normal", reason: "CopyReplaced", action: "Retire" },
    note: `the copy on node ${node} has left the volume; its node wipes and frees it`,
  }));
}

function byNode(members: readonly PartitionRecord[], say: (node: string, members: PartitionRecord[]) => Telling): Telling[] {
  const nodes = [...new Set(members.map((p) => p.nodeID))];
  return nodes.map((node) =>
    say(
      node,
      members.filter((p) => p.nodeID === node),
    ),
  );
}
