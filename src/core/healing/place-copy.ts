/** The place for one copy that is wanted: on another drive of the same node where only its drive failed, else on another node. Pure. */
import type { PartitionRecord, VolumeStatus } from "../../api/volume.ts";
import { place } from "../placement/place.ts";
import { requestFor, sectorSizeOf } from "../placement/request.ts";
import type { PlacedCopy, PlacementRequest } from "../placement/types.ts";
import { isReplaced } from "../record-base.ts";
import { partitionSize } from "../sizes.ts";
import { type CopyState, isOutgrown } from "./copies.ts";
import { rebuildsEnough } from "./guards.ts";
import type { HealingInput } from "./input.ts";
import { isDriveUsable } from "./sight.ts";

export type Place = { ok: true; partitions: PartitionRecord[]; why: string } | { ok: false; message: string };

/** Members for a copy that is wanted, each with whose place it takes; or why there is no place. */
export function placeCopy(status: VolumeStatus, copies: readonly CopyState[], input: HealingInput): Place {
  const source = sourceOf(status, copies);
  for (const copy of copies.filter((c) => c.lacks.length > 0 && !c.leaving && (isDriveFault(c, input) || isTight(c, input)))) {
    const same = onSameNode(copy, status, input);
    const olds = isTight(copy, input) ? copy.members : [...copy.members, ...(source?.members ?? [])];
    if (same) return { ok: true, partitions: membersOf(same, copy.lacks, olds, status, input), why: `other drives of node ${same.node} complete its copy` };
  }
  const placement = place(input.cluster, { ...request(status, input), copies: 1, excludeNodes: excluded(status, copies, input) });
  if (!placement.ok) return { ok: false, message: `No replacement node available: ${placement.message}` };
  const [copy] = placement.copies;
  const instead = source ? `takes the place of the one on node ${source.node}` : "is one more";
  const mirrors = copy!.drives.map((_, i) => i);
  return { ok: true, partitions: membersOf(copy!, mirrors, source?.members ?? [], status, input), why: `a copy on node ${copy!.node} (${copy!.why}) ${instead}` };
}

/** The copy whose place is taken: one that is broken, else one that leaves; none when the volume grows by one. */
function sourceOf(status: VolumeStatus, copies: readonly CopyState[]): CopyState | null {
  const open = copies.filter((copy) => copy.members.some((p) => !isReplaced(status, p.partitionUUID)));
  const broken = open.filter((copy) => copy.lacks.length > 0 && copy.members.some((p) => p.state === "Faulty" && !isReplaced(status, p.partitionUUID)));
  return broken[0] ?? open.find((copy) => copy.leaving) ?? null;
}

/** Its node is there, and the drives of what it lacks are not, or are known to be bad: so it is not the way to the node that failed. */
function isDriveFault(copy: CopyState, { cluster, limits }: HealingInput): boolean {
  const ready = cluster.nodes.some((n) => n.name === copy.node && n.ready);
  const failed = copy.members.filter((p) => copy.lacks.includes(p.mirror));
  return ready && failed.every((p) => p.unmade || (p.failedJoins ?? 0) >= limits.maxFailedJoins || !isDriveUsable(cluster, p));
}

/** Its node is there, and what it lacks is only bigger than what it has: another hole of the node will do, be it on the same drive. */
function isTight(copy: CopyState, { cluster }: HealingInput): boolean {
  const ready = cluster.nodes.some((n) => n.name === copy.node && n.ready);
  return ready && copy.lacks.every((mirror) => copy.members.some((p) => p.mirror === mirror && isOutgrown(p)));
}

function onSameNode(copy: CopyState, status: VolumeStatus, input: HealingInput): PlacedCopy | null {
  if (rebuildsEnough(input, copy.node) !== null) return null;
  const nodes = input.cluster.nodes.filter((n) => n.name === copy.node);
  const wish = request(status, input);
  const own = new Set(copy.members.filter((p) => isOutgrown(p) && copy.lacks.includes(p.mirror)).map((p) => p.drive));
  const excludeDrives = wish.excludeDrives.filter((e) => e.nodeID !== copy.node || !own.has(e.drive));
  const placement = place({ ...input.cluster, nodes }, { ...wish, excludeDrives, copies: 1, drivesPerCopy: copy.lacks.length });
  return placement.ok ? placement.copies[0]! : null;
}

/** No drive that carries or carried a member of this volume: one that failed is not tried again before it has been wiped there. */
function request(status: VolumeStatus, input: HealingInput): PlacementRequest {
  const volume = { ...input.volume, status };
  const excludeDrives = (status.partitions ?? []).map((p) => ({ nodeID: p.nodeID, drive: p.drive, why: "has or had a partition of this volume" }));
  return { ...requestFor(volume, sectorSizeOf(volume, input.cluster)), excludeDrives };
}

function excluded(status: VolumeStatus, copies: readonly CopyState[], input: HealingInput): Map<string, string> {
  const busy = input.cluster.nodes.flatMap((n): [string, string][] => {
    const why = rebuildsEnough(input, n.name);
    return why === null ? [] : [[n.name, why]];
  });
  const leaving = (status.leavingNodes ?? []).map((node): [string, string] => [node, "shall hold no copy of this volume"]);
  return new Map([...busy, ...leaving, ...copies.map((copy): [string, string] => [copy.node, "holds a copy of this volume"])]);
}

function membersOf(copy: PlacedCopy, mirrors: readonly number[], olds: readonly PartitionRecord[], status: VolumeStatus, input: HealingInput): PartitionRecord[] {
  return copy.drives.map((drive, i): PartitionRecord => {
    const mirror = mirrors[i]!;
    const open = olds.filter((p) => p.mirror === mirror && !p.unmade && !isReplaced(status, p.partitionUUID));
    const old = open.find((p) => p.state === "Faulty") ?? open[0];
    return {
      partitionUUID: input.ids[i]!,
      nodeID: copy.node,
      drive,
      mirror,
      state: "Requested",
      sizeBytes: partitionSize(input.volume.spec),
      updatedAt: input.now,
      ...(old && { replaces: old.partitionUUID }),
    };
  });
}
