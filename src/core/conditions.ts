/**
 * The conditions of a volume: `Ready` (it can be used, or is in use) and `Redundant` (every copy that is wanted is in sync).
 * They follow from the record and its summary and are written together with it: at rest they cost nothing. Pure.
 */
import type { Condition, MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { sentenceOf, wantedMembers, wasUsed } from "./sentence.ts";
import type { VolumeView } from "./view.ts";
import { isLost } from "./view.ts";

/** What becomes of the volume's I/O where it is assembled. Only the owner's kernel tells; of a silent owner (OwnerSilent) nobody knows, and the controller says so. */
export type Flow = "Flows" | "Suspended" | "Held" | "OwnerSilent";

export interface Verdict {
  status: Condition["status"];
  /** CamelCase, one of a fixed set (docs/reference/states.md). */
  reason: string;
}

/** Suspended: dm holds every request (I10, I1). Held: some mirror has no member of R that answers, and MD waits for it. */
export function flowOf(view: VolumeView): Flow {
  if (view.device?.suspended || view.device?.suspending) return "Suspended";
  const held = view.mirrors.some((m) => m.array !== null && m.members.some((x) => x.recorded) && m.members.every((x) => !x.recorded || isLost(x)));
  return held ? "Held" : "Flows";
}

/** Can the volume be used, or is it in use? */
export function readiness(volume: MeshStorVolume, flow: Flow = "Flows"): Verdict {
  const status = volume.status ?? {};
  const early = notYet(volume);
  if (early) return early;
  if (!status.owner) return { status: "True", reason: "AtRest" };
  if (flow === "OwnerSilent") return { status: "Unknown", reason: flow };
  if (flow !== "Flows") return { status: "False", reason: flow };
  return status.mdState === "stopped" ? { status: "False", reason: "Starting" } : { status: "True", reason: "InUse" };
}

/** Is every copy that is wanted in sync? */
export function redundancy(volume: MeshStorVolume): Verdict {
  const early = notYet(volume);
  if (early) return early;
  const status = volume.status ?? {};
  if ((status.copies ?? 0) >= volume.spec.numberOfCopies) return { status: "True", reason: "InSync" };
  const states = new Set(wantedMembers(status).map((p) => p.state));
  if (states.has("Missing")) return { status: "False", reason: "CopyMissing" };
  if (states.has("Faulty")) return { status: "False", reason: "CopyFaulty" };
  return { status: "False", reason: states.has("Syncing") ? "CopySyncing" : "CopyWanted" };
}

/** What keeps a volume from both. */
function notYet(volume: MeshStorVolume): Verdict | null {
  const status = volume.status ?? {};
  if (volume.metadata.deletionTimestamp) return { status: "False", reason: "Deleting" };
  const members = wantedMembers(status);
  if (members.length === 0) return { status: "False", reason: "Unplaced" };
  const made = wasUsed(status) || members.every((p) => p.state === "Created");
  return made ? null : { status: "False", reason: "BeingMade" };
}

/**
 * `status` with its conditions brought up to date; the very same object if they stand already. `lastTransitionTime` moves
 * only with the condition's status.
 */
export function withConditions(volume: MeshStorVolume, status: VolumeStatus, now: string, flow: Flow = "Flows"): VolumeStatus {
  const next = { ...volume, status };
  const message = sentenceOf(next);
  const old = status.conditions ?? [];
  const verdicts = { Ready: readiness(next, flow), Redundant: redundancy(next) };
  const wanted = Object.entries(verdicts).map(([type, verdict]): Condition => {
    const before = old.find((c) => c.type === type);
    const lastTransitionTime = before?.status === verdict.status ? before.lastTransitionTime : now;
    return { type, ...verdict, message, lastTransitionTime };
  });
  if (wanted.every((c) => old.some((o) => o.type === c.type && o.status === c.status && o.reason === c.reason && o.message === c.message))) return status;
  return { ...status, conditions: [...wanted, ...old.filter((c) => !(c.type in verdicts))] };
}
