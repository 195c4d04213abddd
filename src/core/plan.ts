/**
 * The planner: what one node does next for one volume. Pure: no clock, no I/O, no randomness.
 * `plan` looks at the record, the kernel and what this process did itself, and returns one batch of
 * independent actions; after the batch everything is looked at again. Order of concern:
 *
 *   1. members that are lost or leaving        plan-release.ts  (I1: record, stamp, fail, disconnect, remove)
 *   2. what this node provides to others       plan-provider.ts (partitions, exports, wiping)
 *   3. whether reads are still fresh           plan-fresh.ts    (I10: guard, suspend, resume)
 *   4. taking, building or ending an epoch     plan-takeover.ts, plan-start.ts, plan-stop.ts, plan-fence.ts (I2, I3, I4, I6, I8)
 *   5. members that come back, join or retire  plan-heal.ts     (I5)
 *   6. growth, once nothing of that is to do   plan-grow.ts
 */
import type { ActionKind } from "./action.ts";
import { hasBegun, isAhead, isFenced, isOverdue, mustHandOver, refuseAhead } from "./plan-fence.ts";
import { planFresh } from "./plan-fresh.ts";
import { planGrow } from "./plan-grow.ts";
import { planEnter, planHeal } from "./plan-heal.ts";
import { planProvider } from "./plan-provider.ts";
import { planLeftovers, planRelease } from "./plan-release.ts";
import { planStart } from "./plan-start.ts";
import { planStop } from "./plan-stop.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { NOTHING, refusePlan, wait } from "./plan-types.ts";
import { stagedTarget } from "./staged.ts";
import type { VolumeView } from "./view.ts";
import { runsInEpoch, viewVolume } from "./view.ts";

export type { Intent, Plan, PlanInput } from "./plan-types.ts";

/**
 * Decided on a linearizable read only, never on a watch cache (I2). RecordOut too, although it is a compare-and-swap: made
 * a second time from an old view, it can land late between the label of its generation and the release (Z20).
 */
export const FRESH_KINDS: ReadonlySet<ActionKind> = new Set<ActionKind>([
  "RecordOut",
  "ZeroPartition",
  "CutExport",
  "CreateExport",
  "Connect",
  "OpenWindow",
  "CloseWindow",
  "StampLabel",
  "CreateMirror",
  "AssembleMirror",
  "FailMember",
  "RemoveMember",
  "Disconnect",
  "ReAddMember",
  "AddMember",
  "ShrinkMirror",
  "StopMirror",
  "CreatePartition",
  "WipePartition",
  "DeletePartition",
  "MakeFilesystem",
  "CreateVolumeDevice",
  "RemoveVolumeDevice",
  "KillUsers",
  "ShutdownFilesystem",
  "FailVolume",
  "GrowPartition",
  "ZeroExtension",
  "GrowWindow",
  "GrowMirror",
  "GrowVolumeDevice",
  "GrowFilesystem",
]);

export function plan(input: PlanInput): Plan {
  const view = viewVolume(input.volume, input.host, input.me);
  const provider = planProvider(view, input);
  // A cache from before this process' own claim says nothing about who owns the volume now.
  if (view.epoch < (input.session.claimedEpoch ?? 0)) return withProvider(wait(`the record of epoch ${input.session.claimedEpoch} is not seen yet on this node`), provider);
  if (isAhead(view) && view.mounts.length > 0) return withProvider(refuseAhead(view), provider);
  // I4: whatever else there is to do for a volume that this node must not run, it stops first.
  if (isFenced(view) || isStoppedByForce(view, input)) return withProvider(planStop(view, input), provider);
  const strange = view.mirrors.find((m) => m.array !== null && !runsInEpoch(view, m));
  if (strange && view.mine && view.mounts.length > 0)
    return withProvider(
      refusePlan("Unsafe", `mirror ${strange.index} of volume ${view.name} runs with members that epoch ${view.epoch} did not assemble, and is mounted`),
      provider,
    );
  const release = view.mine && !strange ? planRelease(view, input) : NOTHING;
  const fresh = view.mine && !strange ? planFresh(view, input) : NOTHING;
  // A batch of its own: an outage of the API, for which everything else waits, must not hinder a suspend (I10).
  if (fresh.actions.length > 0) return addWaits(fresh, [...release.waits, ...provider.waits]);
  // Held writes wait for this; nothing that may fail or take long goes in the same batch.
  if (release.actions.length > 0) return addWaits(release, [...fresh.waits, ...provider.waits]);
  const next = withProvider(addWaits(planOwner(view, input, release.waits.length > 0), [...release.waits, ...fresh.waits]), provider);
  // Kubelet is answered first: whatever else there is to do may fail or take long, and is none of its business.
  if (next.done && input.intent.kind !== "none") return { ...next, actions: [], waits: [...next.waits, ...next.actions.map((a) => a.why)] };
  return next;
}

/** A stop that was asked for and cannot end in order, or a start that cannot go on: they do not wait for a record that cannot be written (I8). */
function isStoppedByForce(view: VolumeView, input: PlanInput): boolean {
  const { intent } = input;
  if (!view.mine) return false;
  if (hasBegun(view, input)) return true;
  // Not mounted yet, and the last good copy lost its connection, which is used once: nobody is served, so it is begun again.
  const again = intent.kind === "stage" && view.mounts.length === 0;
  const asked = again || mustHandOver(view, input) || (intent.kind === "unstage" && view.mounts.every((m) => m.target === stagedTarget(view.volume.spec, intent.stagingPath)));
  return asked && isOverdue(view, input);
}

/** The owner's part beside losses: what they left behind, then the intent, then healing. */
function planOwner(view: VolumeView, input: PlanInput, held: boolean): Plan {
  if (!view.mine) return mustStop(view, input) ? planStop(view, input) : planStart(view, input);
  const leftovers = planLeftovers(view);
  if (leftovers.actions.length > 0) return leftovers;
  const next = mustStop(view, input) ? planStop(view, input) : planStart(view, input);
  if (next.actions.length > 0 || next.refusal || input.intent.kind === "unstage" || mustHandOver(view, input)) return next;
  const assembled = view.mirrors.length > 0 && view.mirrors.every((m) => m.array !== null && m.created);
  if (!assembled) return next;
  // Z3: while a member is held nothing joins or leaves; one that is complete is still recorded.
  const heal = held ? planEnter(view, input) : planHeal(view, input);
  const waits = [...next.waits, ...heal.waits];
  if (heal.actions.length > 0 || held) return { ...next, actions: heal.actions, waits };
  const grow = planGrow(view, input);
  return { ...next, actions: grow.actions, waits: [...waits, ...grow.waits] };
}

/**
 * Down it goes: kubelet asks for it; a stop once begun is finished, so that the next start is another
 * epoch (I2); what is left of an earlier boot or process, and is not asked for, is given up.
 */
function mustStop(view: VolumeView, input: PlanInput): boolean {
  const { intent, session } = input;
  if (intent.kind === "unstage" || mustHandOver(view, input)) return true;
  if (!view.mine) return foreignLeftovers(view) || isFormer(view, input) || (intent.kind === "none" && view.status.owner?.nodeUID === input.me.nodeUID);
  if (view.mirrors.some((m) => m.array !== null && !runsInEpoch(view, m))) return true;
  if (session.claimedEpoch === view.epoch) return session.stopClean !== null;
  return intent.kind === "none" && view.mirrors.some((m) => m.array === null);
}

/** This node owned it and nothing of that is left: it says so, and nobody waits for it any more (I10). */
function isFormer(view: VolumeView, input: PlanInput): boolean {
  return (view.status.former ?? []).some((f) => f.nodeUID === input.me.nodeUID);
}

/** Arrays, windows or imports of a volume that this node does not own (I4). */
function foreignLeftovers(view: VolumeView): boolean {
  return view.device !== null || view.mirrors.some((m) => m.array !== null) || view.members.some((m) => m.window !== null || m.connections.length > 0);
}

function addWaits(plan: Plan, waits: string[]): Plan {
  return { ...plan, waits: [...waits, ...plan.waits] };
}

/** A suspend goes alone: nothing that needs the API, or may take long, hinders it (I10, I4). */
function withProvider(owner: Plan, provider: Plan): Plan {
  if (owner.actions.some((a) => a.kind === "SuspendVolume")) return { ...owner, waits: [...owner.waits, ...provider.waits] };
  return { ...owner, actions: [...provider.actions, ...owner.actions], waits: [...owner.waits, ...provider.waits] };
}
