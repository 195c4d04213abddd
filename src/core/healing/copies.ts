/** Which copies of a volume can be counted on, and which need another in their place. Pure. */
import type { PartitionRecord, VolumeStatus } from "../../api/volume.ts";
import { isReplaced } from "../record-base.ts";
import { inMaintenance } from "./guards.ts";
import type { HealingInput } from "./input.ts";

/** A copy is what one node holds of a volume. */
export interface CopyState {
  node: string;
  members: PartitionRecord[];
  /** Mirrors of which the node has no member that is there, coming, or waited for. */
  lacks: number[];
  /** Copies leave the node. */
  leaving: boolean;
}

const GOOD: ReadonlySet<string> = new Set(["Requested", "Created", "Syncing", "Synced", "Spare", "Missing"]);

/** Every node's copy; one that is on its way out is none. */
export function copiesOf(status: VolumeStatus, input: HealingInput): CopyState[] {
  const there = (status.partitions ?? []).filter((p) => p.state !== "Deleting" && p.state !== "Replacing");
  const mirrors = Array.from({ length: input.volume.spec.drivesPerCopy }, (_, i) => i);
  return [...new Set(there.map((p) => p.nodeID))].map((node) => {
    const members = there.filter((p) => p.nodeID === node);
    const good = members.filter((p) => (GOOD.has(p.state) && !isOutgrown(p)) || isExpected(status, p, input));
    return { node, members, lacks: mirrors.filter((m) => !good.some((p) => p.mirror === m)), leaving: status.leavingNodes?.includes(node) ?? false };
  });
}

/** Copies that are there, coming, or waited for, where they may stay. */
export function sound(copies: readonly CopyState[]): CopyState[] {
  return copies.filter((copy) => copy.lacks.length === 0 && !copy.leaving);
}

/** Too small for what is wanted, and it cannot grow where it is: a bigger one takes its place while it is in use. */
export function isOutgrown(p: PartitionRecord): boolean {
  return p.tight === true && p.state !== "Requested";
}

/** Given up, and nobody has taken its place: its node is in maintenance, or just came back with its drive. */
function isExpected(status: VolumeStatus, p: PartitionRecord, input: HealingInput): boolean {
  if (p.state !== "Faulty" || p.unmade || isReplaced(status, p.partitionUUID)) return false;
  if (inMaintenance(input, p.nodeID) !== null) return true;
  const { backMs } = input.sights[p.partitionUUID] ?? { backMs: null };
  return backMs !== null && input.nowMs - backMs < input.limits.returnGraceMs && (p.failedJoins ?? 0) < input.limits.maxFailedJoins;
}
