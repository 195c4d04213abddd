/** What one version of the record changed, in words: for histories that a person reads. */
import type { MeshStorVolume, MirrorRecord, PartitionRecord, VolumeStatus } from "../../api/volume.ts";

/** The changes that matter to the protocol; "nothing of ours" if there is none. */
export function recordChange(before: MeshStorVolume | null, after: MeshStorVolume | null): string {
  if (after === null) return "the volume is gone";
  const [old, now] = [before?.status ?? {}, after.status ?? {}];
  const changes = [
    ...(after.metadata.deletionTimestamp && !before?.metadata.deletionTimestamp ? ["deletion asked for"] : []),
    ...ownership(old, now),
    ...(now.mirrors ?? []).flatMap((mirror) => mirrorChange(old.mirrors?.[mirror.index], mirror)),
    ...(now.partitions ?? []).flatMap((p) =>
      partitionChange(
        old.partitions?.find((x) => x.partitionUUID === p.partitionUUID),
        p,
      ),
    ),
    ...(old.partitions ?? []).filter((p) => !now.partitions?.some((x) => x.partitionUUID === p.partitionUUID)).map((p) => `${short(p.partitionUUID)} taken out`),
    ...(now.filesystem && !old.filesystem ? ["filesystem named"] : []),
    ...(now.filesystem?.formattedAt && !old.filesystem?.formattedAt ? ["formatted"] : []),
  ];
  return changes.length > 0 ? changes.join("; ") : "nothing of ours";
}

/** A partition's name for a person: its first digits. */
export function short(uuid: string): string {
  return uuid.slice(0, 8);
}

function ownership(old: VolumeStatus, now: VolumeStatus): string[] {
  const name = (status: VolumeStatus) => (status.owner ? `${status.owner.nodeName} (${status.owner.bootID}, ${status.owner.start})` : "nobody");
  return [
    ...(name(old) === name(now) && old.epoch === now.epoch ? [] : [`epoch ${now.epoch ?? 0}, owner ${name(now)}`]),
    ...(old.lastStop === now.lastStop || now.lastStop === undefined ? [] : [`last stop ${now.lastStop}`]),
  ];
}

function mirrorChange(old: MirrorRecord | undefined, now: MirrorRecord): string[] {
  const set = (m: MirrorRecord | undefined) => `${m?.generation ?? 0}:${m?.inSync.map(short).join(",") ?? ""}`;
  return [
    ...(set(old) === set(now) ? [] : [`R${now.index} = {${now.inSync.map(short).join(", ")}} in generation ${now.generation}`]),
    ...(now.created && !old?.created ? [`mirror ${now.index} made`] : []),
  ];
}

function partitionChange(old: PartitionRecord | undefined, now: PartitionRecord): string[] {
  const [was, is] = [factsOf(old), factsOf(now)];
  const changes = is.filter((fact, i) => fact !== was[i] && fact !== "");
  const lost = old?.outSince !== undefined && now.outSince === undefined ? ["no claim on the bitmap"] : [];
  const moved = old?.state === now.state ? [] : [`${old?.state ?? "new"} → ${now.state}`];
  const all = [...moved, ...changes, ...lost];
  return all.length > 0 ? [`${short(now.partitionUUID)} on ${now.nodeID}: ${all.join(", ")}`] : [];
}

/** What a partition's record says beside its state, in a fixed order; empty where it says nothing. */
function factsOf(p: PartitionRecord | undefined): string[] {
  const said = (text: string, value: number | undefined) => (value === undefined ? "" : `${text} ${value}`);
  return [
    said("out since", p?.outSince),
    p?.export ? `export ${p.export.epoch}.${p.export.attach} announced` : "",
    said("connection given up:", p?.detachedAttach),
    p?.detached ? "detached" : "",
  ];
}
