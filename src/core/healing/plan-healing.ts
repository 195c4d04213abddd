/**
 * Healing as the controller does it: who is not waited for any longer, what is placed in whose stead, which nodes shall hold
 * no copy, and the sentence where there is no place. A function of what was read; the shell makes it a compare-and-swap and
 * calls it again on every fresh read. It never touches `mirrors`, `owner` or `epoch`: the owner alone takes members in and out.
 */
import type { PartitionRecord, VolumeStatus } from "../../api/volume.ts";
import { withSize } from "../growth.ts";
import { sameJson } from "../../base/same.ts";
import { copiesOf, sound } from "./copies.ts";
import { disown } from "./disown.ts";
import { giveUp } from "./give-up.ts";
import { nodeOf, rebuildsEnough, tooManyAway } from "./guards.ts";
import type { Healing, HealingInput } from "./input.ts";
import { placeCopy } from "./place-copy.ts";

/** One step of healing for one volume. */
export function planHealing(input: HealingInput): Healing {
  const before = input.volume.status ?? {};
  if (input.stale) return { kind: "none" };
  const why: string[] = [];
  let status = withLeaving(before, input);
  const disowned = disown(status, input);
  status = disowned.status;
  why.push(...disowned.why);
  if (isAtWork(status, input)) {
    const given = giveUp(status, input);
    const healed = withPlaces({ ...status, partitions: given.partitions }, input);
    status = healed.status;
    why.push(...given.why, ...healed.why);
  } else if (!status.owner) status = withSentence(status, null);
  return sameJson(status, before) ? { kind: "none" } : { kind: "write", status, why };
}

/** Somebody runs the volume who can rebuild a copy, and nobody deletes it. */
function isAtWork(status: VolumeStatus, input: HealingInput): boolean {
  const { owner, mirrors } = status;
  if (!owner || mirrors === undefined || input.volume.metadata.deletionTimestamp !== undefined) return false;
  return nodeOf(input, owner.nodeName)?.ready === true;
}

/** What is lacking gets a place, one copy at a time; else the sentence that says why not. */
function withPlaces(status: VolumeStatus, input: HealingInput): { status: VolumeStatus; why: string[] } {
  const copies = copiesOf(status, input);
  if (sound(copies).length >= input.volume.spec.numberOfCopies) return { status: withSentence(status, null), why: [] };
  const guard = whyNot(status, input);
  if (guard !== null) return { status: withSentence(status, `no copy is placed now: ${guard}`), why: [] };
  const placed = placeCopy(status, copies, input);
  if (!placed.ok) return { status: withSentence(status, placed.message), why: [] };
  const sized = withSize({ ...input.volume, status }, status);
  return { status: withSentence({ ...sized, partitions: [...(status.partitions ?? []), ...placed.partitions] }, null), why: [placed.why] };
}

function whyNot(status: VolumeStatus, input: HealingInput): string | null {
  const owner = status.owner!.nodeName;
  const busy = rebuildsEnough(input, owner);
  return tooManyAway(input) ?? (busy === null ? null : `node ${owner}, which runs the volume, ${busy}`);
}

/** The sentence stands with every member that was given up, and with the volume; null takes it away. */
function withSentence(status: VolumeStatus, sentence: string | null): VolumeStatus {
  const { placementMessage: _said, ...rest } = status;
  const say = (p: PartitionRecord): PartitionRecord => {
    if (p.state !== "Faulty" || p.unmade) return p;
    const { message: _message, ...silent } = p;
    return sentence === null ? silent : { ...silent, message: sentence };
  };
  return { ...rest, ...(rest.partitions && { partitions: rest.partitions.map(say) }), ...(sentence !== null && { placementMessage: sentence }) };
}

/** Nodes that shall hold no copy: those that the volume avoids, and those that are being emptied. */
function withLeaving(status: VolumeStatus, { volume, cluster }: HealingInput): VolumeStatus {
  const { leavingNodes: _before, ...rest } = status;
  const emptied = cluster.nodes.filter((n) => n.leaving).map((n) => n.name);
  const leaving = [...new Set([...(volume.spec.avoidNodes ?? []), ...emptied])].sort();
  return leaving.length > 0 ? { ...rest, leavingNodes: leaving } : rest;
}
