/**
 * Copies wanted against copies there: the pod's node gets one, and what is there beyond the wish is retired, in this order:
 *
 *   1. members given up whose replacement is in sync   2. copies that are missing or given up, when enough others are in sync
 *   3. copies on nodes that shall hold none            4. an excess copy, never the one of the pod's node
 *   5. one that is still being made and is not wanted any more
 *
 * Nothing leaves before what takes its place is recorded in sync (RecordRetire refuses it as well). Pure.
 */
import { localCopy } from "./local-copy.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { act, NOTHING } from "./plan-types.ts";
import type { MemberView, VolumeView } from "./view.ts";

const UNFINISHED: ReadonlySet<string> = new Set(["Requested", "Created", "Syncing", "Spare"]);

export function planCopies(view: VolumeView, input: PlanInput): Plan {
  if (view.mounts.length === 0) return NOTHING;
  const request = localCopy(view, input, false);
  if (request) return act(request);
  const replaced = view.members.filter((m) => isThere(m) && (isOutgrown(view, m) || (isGivenUp(m) && view.members.some((r) => isIn(r) && isInsteadOf(r, m)))));
  if (replaced.length > 0) return retire(replaced, "what was placed in its stead is in sync");
  const leaving = leavingCopy(view, input.me.nodeName);
  return leaving === null ? NOTHING : retire(ofNode(view, leaving), `${view.volume.spec.numberOfCopies} copies are in sync without the one on node ${leaving}`);
}

/** The node whose copy goes next, or null. */
function leavingCopy(view: VolumeView, me: string): string | null {
  const wanted = view.volume.spec.numberOfCopies;
  const emptied = new Set(view.status.leavingNodes ?? []);
  const nodes = [...new Set(view.members.filter(isThere).map((m) => m.record.nodeID))];
  const complete = nodes.filter((node) => isComplete(view, node));
  const enough = complete.filter((node) => !emptied.has(node));
  if (enough.length < wanted) return null;
  const unfinished = nodes.filter((node) => !complete.includes(node) && ofNode(view, node).some((m) => UNFINISHED.has(m.record.state)));
  const broken = nodes.filter((node) => !complete.includes(node) && !unfinished.includes(node));
  const given = broken.find((node) => ofNode(view, node).some((m) => m.record.state === "Faulty")) ?? broken[0];
  if (given !== undefined) return given;
  const left = nodes.find((node) => emptied.has(node));
  if (left !== undefined) return left;
  if (enough.length > wanted) return enough.findLast((node) => node !== me) ?? null;
  // The copy of the pod's node is made to take another's place; that one goes when it is in sync.
  return unfinished.includes(me) ? null : (unfinished.at(-1) ?? null);
}

function retire(members: MemberView[], why: string): Plan {
  // Its export stays until it has left the array: withdrawn before, its I/O would be held, and the volume's with it.
  return act({ kind: "RecordRetire", members: members.map((m) => ({ partitionUUID: m.uuid, mirror: m.mirror, attach: null })), why });
}

function ofNode(view: VolumeView, node: string): MemberView[] {
  return view.members.filter((m) => m.record.nodeID === node && isThere(m));
}

function isThere(m: MemberView): boolean {
  return m.record.state !== "Deleting" && m.record.state !== "Replacing";
}

function isIn(m: MemberView): boolean {
  return m.recorded && (m.inArray?.flags.includes("in_sync") ?? false);
}

function isGivenUp(m: MemberView): boolean {
  return m.record.state === "Faulty" && !m.recorded && m.inArray === null;
}

/** A bigger one that takes its place is in sync, and enough others are: one of a mirror at a time. */
function isOutgrown(view: VolumeView, m: MemberView): boolean {
  const bigger = (x: MemberView) => view.members.some((r) => isIn(r) && isInsteadOf(r, x) && r.record.sizeBytes > x.record.sizeBytes);
  if (!bigger(m)) return false;
  if (!m.recorded) return true;
  const { members } = view.mirrors[m.mirror]!;
  const enough = members.filter((x) => x.recorded).length > view.volume.spec.numberOfCopies;
  return enough && members.find((x) => x.recorded && isThere(x) && bigger(x)) === m;
}

/** Placed to take its place, or the same node's member of the same mirror: a replacement whose original came back after all. */
function isInsteadOf(r: MemberView, m: MemberView): boolean {
  return r.record.replaces === m.uuid || (r.record.nodeID === m.record.nodeID && r.mirror === m.mirror);
}

/** Its members are in R of every mirror. */
function isComplete(view: VolumeView, node: string): boolean {
  return view.mirrors.every((mirror) => mirror.members.some((m) => m.record.nodeID === node && isIn(m)));
}
