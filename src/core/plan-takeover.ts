/** From "kubelet wants it here" to a claim: of a volume that nobody owns, or whose owner is gone (decision 0011). Pure. */
import type { OwnerRecord, Verdict } from "../api/volume.ts";
import { isDeclaredDead, judge, sentenceOf } from "./judge.ts";
import { localCopy } from "./local-copy.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { act, refusePlan, wait } from "./plan-types.ts";
import type { MirrorView, VolumeView } from "./view.ts";

export function planClaim(view: VolumeView, input: PlanInput): Plan {
  const { owner } = view.status;
  if (view.volume.metadata.deletionTimestamp) return refusePlan("VolumeNotFound", `volume ${view.name} is being deleted`);
  if (owner && owner.nodeUID !== input.me.nodeUID) return planTakeover(view, owner, input);
  return (
    planFirst(view, input) ??
    act({ kind: "RecordClaim", from: null, why: owner ? "this node ran the volume in an earlier boot: a new epoch after an unclean stop (I3)" : "nobody owns the volume" })
  );
}

/** Before the first claim ever: placed, zeroed, and one copy on this node. */
function planFirst(view: VolumeView, input: PlanInput): Plan | null {
  const { mirrors } = view.status;
  if (view.members.length === 0) return wait(`the controller places volume ${view.name}`);
  if (mirrors !== undefined) return null;
  const unready = view.members.filter((m) => m.record.state === "Requested");
  if (unready.length > 0) return wait(`node ${[...new Set(unready.map((m) => m.record.nodeID))].join(", ")} makes and zeroes its partition of volume ${view.name}`);
  const failed = view.mirrors.find((mirror) => !mirror.members.some((m) => m.record.state === "Created"));
  if (failed)
    return wait(
      `no partition of mirror ${failed.index} could be made: ${failed.members.map((m) => m.record.message).find((m) => m) ?? "its drives are gone"}; the controller finds another place`,
    );
  const move = localCopy(view, input, true);
  return move ? act(move) : null;
}

/** A living owner is asked, never robbed; one that is gone is replaced if something can start without it. */
function planTakeover(view: VolumeView, owner: OwnerRecord, input: PlanInput): Plan {
  const verdict = judge(owner, input.peers, input.bounds);
  if (verdict === null) return askFor(view, owner);
  if (!isDeclaredDead(verdict) && owner.promiseMs === undefined)
    // Z16: it may serve reads for ever, and nobody can tell when it stops.
    return refusePlan(
      "OwnerGone",
      `volume ${view.name} is owned by node ${owner.nodeName}, and ${sentenceOf(verdict)}; bring the node back, or declare it out of service if its machine is off`,
    );
  const lost = view.mirrors.find((mirror) => !mirror.members.some((m) => m.recorded && mayAnswer(m.record.nodeID, owner, input)));
  if (lost) return refusePlan("NoGoodCopy", lastGoodCopy(view, lost, owner, verdict));
  const { nodeUID, bootID } = owner;
  return act({ kind: "RecordClaim", from: { nodeUID, bootID, judged: verdict }, why: `node ${owner.nodeName} owned the volume, and ${sentenceOf(verdict)}` });
}

/** A member of the former owner itself is of no use before that has stopped; one on a node that is gone neither. */
function mayAnswer(nodeID: string, owner: OwnerRecord, input: PlanInput): boolean {
  return nodeID !== owner.nodeName && judge({ nodeName: nodeID }, input.peers, input.bounds) === null;
}

/** I3: who holds the last good copy. The record is left alone: the owner may run well on it. */
function lastGoodCopy(view: VolumeView, mirror: MirrorView, owner: OwnerRecord, verdict: Verdict): string {
  const nodes = [...new Set(mirror.members.filter((m) => m.recorded).map((m) => m.record.nodeID))].join(", ");
  return `volume ${view.name} is owned by node ${owner.nodeName}, and ${sentenceOf(verdict)}; the last good copy of mirror ${mirror.index} is on node ${nodes}: bring it back`;
}

function askFor(view: VolumeView, owner: OwnerRecord): Plan {
  if (view.status.handOver?.epoch !== view.epoch) return act({ kind: "RecordHandOver", why: `node ${owner.nodeName} is asked to give the volume up if nobody uses it there` });
  return refusePlan("VolumeInUse", `volume ${view.name} is owned by node ${owner.nodeName} since ${owner.since}; it must be unstaged there first`);
}
