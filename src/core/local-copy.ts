/** The pod's node gets a copy: which drives, and whose place it takes. Pure. */
import type { RecordAction } from "./action.ts";
import { fit, holesOf } from "./gpt-fit.ts";
import type { PlanInput } from "./plan-types.ts";
import { partitionSize } from "./sizes.ts";
import type { VolumeView } from "./view.ts";

/**
 * Asks for a copy on this node, or null if it has one or cannot hold one. Before first use
 * (`provisional`) the copy takes the place of another node's, so that nothing has to be copied.
 */
export function localCopy(view: VolumeView, input: PlanInput, provisional: boolean): (RecordAction & { why: string }) | null {
  if (view.members.some((m) => m.local && m.record.state !== "Deleting")) return null;
  // Copies leave this node: the pod reads and writes over the network.
  if (view.status.leavingNodes?.includes(input.me.nodeName)) return null;
  // A copy of ours that is still being wiped keeps its drive busy; wait for it to go.
  if (view.members.some((m) => m.local)) return null;
  const { spec } = view.volume;
  const sizeBytes = partitionSize(spec);
  const sector = spec.sectorSize;
  const drives = input.host.drives
    .filter((d) => (sector === undefined || d.sectorSize === sector) && !d.readOnly)
    .flatMap((d) => {
      const table = input.tables.get(d.id);
      return table && fit(table, sizeBytes) !== null ? [{ id: d.id, free: holesOf(table).reduce((sum, h) => sum + h.sizeBytes, 0) }] : [];
    })
    .sort((a, b) => b.free - a.free || (a.id < b.id ? -1 : 1));
  if (drives.length < spec.drivesPerCopy) return null;
  const partitions = Array.from({ length: spec.drivesPerCopy }, (_, mirror) => ({ mirror, drive: drives[mirror]!.id, sizeBytes }));
  const nodes = [...new Set(view.members.filter((m) => m.record.state === "Created").map((m) => m.record.nodeID))].sort();
  const insteadOf = provisional ? (nodes.at(-1) ?? null) : null;
  if (provisional && insteadOf === null) return null;
  return { kind: "RecordRequestLocal", partitions, insteadOf, why: "the node that runs the pod holds a copy" };
}
