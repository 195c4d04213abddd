/** An override as a person asks for it: by copy, for every mirror that needs it. What it means, and the change of the record. Pure. */
import type { MeshStorVolume, PartitionRecord, VolumeStatus } from "../api/volume.ts";
import type { OverrideOutlook, OverrideRequest } from "./override.ts";
import { overrideOutlook, recordOverride } from "./override.ts";
import type { RecordResult } from "./record-base.ts";
import { accept, findPartition, inSyncOf, refuse } from "./record-base.ts";

/** What shall be believed: a node's copy, or one partition. */
export interface OverrideWish {
  /** Node or partition UUID. */
  copy: string;
  /** Mirrors to decide about; empty: every mirror in which the copy is not recorded in sync. */
  mirrors: readonly number[];
}

export interface OverridePlan {
  chosen: { mirror: number; partitionUUID: string; nodeID: string }[];
  /** One for each chosen member. */
  outlooks: OverrideOutlook[];
  /** Every chosen member is whole. */
  consistent: boolean;
  /** For the person who decides, one sentence each. */
  sentences: string[];
  /** What the decision rests on: owner, epoch and R. */
  basis: string;
}

/** Finds the members that a wish means. @returns the sentence that says what is wrong with it, if something is */
export function planOverride(volume: MeshStorVolume, wish: OverrideWish): OverridePlan | { refusal: string } {
  const status = volume.status ?? {};
  const mirrors = status.mirrors ?? [];
  if (mirrors.length === 0) return { refusal: `volume ${volume.metadata.name} was never used: it has nothing to lose and nothing to override` };
  const unknown = wish.mirrors.find((index) => !mirrors.some((m) => m.index === index));
  if (unknown !== undefined) return { refusal: `volume ${volume.metadata.name} has no mirror ${unknown} (it has ${mirrors.map((m) => m.index).join(", ")})` };
  const members = membersOf(volume, wish.copy);
  if (members.length === 0) return { refusal: `volume ${volume.metadata.name} has no copy on node ${wish.copy} and no partition of this UUID` };
  const wanted = members.filter((p) => (wish.mirrors.length > 0 ? wish.mirrors.includes(p.mirror) : !inSyncOf(status, p.mirror).includes(p.partitionUUID)));
  if (wanted.length === 0)
    return { refusal: wish.mirrors.length > 0 ? `the copy has no member in mirror ${wish.mirrors.join(", ")}` : "the copy is recorded in sync: no override is needed" };
  const twice = wanted.find((p, i) => wanted.findIndex((x) => x.mirror === p.mirror) !== i);
  if (twice) return { refusal: `node ${twice.nodeID} holds more than one partition of mirror ${twice.mirror}: name one by its UUID (${uuidsOf(wanted, twice.mirror)})` };
  const chosen = wanted.map((p) => ({ mirror: p.mirror, partitionUUID: p.partitionUUID, nodeID: p.nodeID })).toSorted((a, b) => a.mirror - b.mirror);
  const outlooks = chosen.map((c) => overrideOutlook(volume, { mirror: c.mirror, chosen: c.partitionUUID })!);
  return { chosen, outlooks, consistent: outlooks.every((o) => o.consistent), sentences: [...outlooks.map((o) => o.sentence), ...mixture(volume, chosen)], basis: basisOf(status) };
}

/** All mirrors in one change of the record, or none. Refused if it would mean anything else than `plan`, which a person has seen. */
export function recordOverrides(volume: MeshStorVolume, wish: OverrideWish, plan: OverridePlan, say: Omit<OverrideRequest, "mirror" | "chosen">): RecordResult {
  const now = planOverride(volume, wish);
  if ("refusal" in now) return refuse(now.refusal);
  if (JSON.stringify([now.basis, now.chosen, now.sentences]) !== JSON.stringify([plan.basis, plan.chosen, plan.sentences]))
    return refuse("the record has changed since you were shown what it would mean: look again");
  let status = volume.status ?? {};
  for (const { mirror, partitionUUID } of plan.chosen) {
    const result = recordOverride({ ...volume, status }, { ...say, mirror, chosen: partitionUUID });
    if (!result.ok) return result;
    status = result.status;
  }
  return accept(status);
}

function membersOf(volume: MeshStorVolume, copy: string): PartitionRecord[] {
  const one = findPartition(volume.status ?? {}, copy);
  return one ? [one] : (volume.status?.partitions ?? []).filter((p) => p.nodeID === copy && p.state !== "Deleting");
}

function uuidsOf(members: readonly PartitionRecord[], mirror: number): string {
  return members
    .filter((p) => p.mirror === mirror)
    .map((p) => p.partitionUUID)
    .join(", ");
}

/** Whoever vouched for one owner vouched for no other, and what is given up is what was shown. */
function basisOf({ owner, epoch, mirrors = [] }: VolumeStatus): string {
  return JSON.stringify([owner?.nodeUID, owner?.bootID, epoch, mirrors.map((m) => [m.index, m.generation, m.inSync])]);
}

/** Stripes of different moments are no filesystem: whole or not, each member alone says nothing of that. */
function mixture(volume: MeshStorVolume, chosen: OverridePlan["chosen"]): string[] {
  const { mirrors = [], partitions = [] } = volume.status ?? {};
  if (mirrors.length < 2) return [];
  const others = mirrors.filter((m) => !chosen.some((c) => c.mirror === m.index)).map((m) => m.index);
  if (others.length > 0)
    return [`mirror ${others.join(", ")} goes on from its newer copies: the volume becomes a mixture of two moments, and its filesystem must be checked before it is trusted`];
  const left = new Set(chosen.map((c) => partitions.find((p) => p.partitionUUID === c.partitionUUID)?.updatedAt));
  return left.size > 1
    ? ["the members of the copy left at different times: the volume may become a mixture of moments, and its filesystem must be checked before it is trusted"]
    : [];
}
