/**
 * May this node be rebooted now? Nobody's I/O stops, and no volume in use loses its last copy in reach: judged for each node from the
 * records and the heartbeats alone, and shown as a condition of its Node object. One volume, one finding: the first that holds. Pure.
 */
import type { Condition, MeshStorVolume, PartitionRecord, VolumeStatus } from "../api/volume.ts";
import { nodesOf, wantedMembers, wasUsed } from "./sentence.ts";

export type RebootVerdict = Pick<Condition, "status" | "reason" | "message">;

export interface RebootInput {
  node: string;
  /** Every volume; those of which neither owner nor copy has to do with the node are passed over. */
  volumes: readonly MeshStorVolume[];
  /** Nodes whose program renews its Lease. */
  alive: ReadonlySet<string>;
}

/** Why a node is not safe to reboot; in the order in which a reason is chosen. */
const REASONS = ["InUse", "HandOver", "FormerOwner", "CopyNotInSync", "CopyNeeded", "OwnerSilent", "LastCopy", "OtherCopySilent"] as const;
type Reason = (typeof REASONS)[number];

interface Finding {
  /** OutOfReach keeps nobody from rebooting. */
  reason: Reason | "OutOfReach";
  volume: string;
  /** A node that the sentence names. */
  who: string;
}

/** Names in one sentence. */
const NAMES = 3;

/** The condition of one node. */
export function safeToReboot({ node, volumes, alive }: RebootInput): RebootVerdict {
  if (!alive.has(node))
    return { status: "Unknown", reason: "NodeSilent", message: `the node program of ${node} has not renewed its Lease: it is waited for, it alone knows what is in use there` };
  const findings = volumes.flatMap((volume) => findingOf(volume, node, alive) ?? []);
  const reasons = REASONS.filter((reason) => findings.some((f) => f.reason === reason));
  const sentences = reasons.flatMap((reason) => sentencesOf(reason, findings));
  if (reasons[0] !== undefined) return { status: "False", reason: reasons[0], message: sentences.join("; ") };
  const alone = findings.filter((f) => f.reason === "OutOfReach").map((f) => f.volume);
  const copies = "no volume is in use here, and every copy in sync here has another one on a node that answers";
  if (alone.length === 0) return { status: "True", reason: "CopiesElsewhere", message: copies };
  return {
    status: "True",
    reason: "OutOfReachMeanwhile",
    message: `no volume is in use here; ${volumesOf(alone)} with the only copy in sync here ${alone.length === 1 ? "is" : "are"} out of reach meanwhile`,
  };
}

function findingOf(volume: MeshStorVolume, node: string, alive: ReadonlySet<string>): Finding | null {
  const status = volume.status ?? {};
  const found = useOf(status, node) ?? (volume.metadata.deletionTimestamp ? null : copyOf(status, node, alive));
  return found && { ...found, volume: volume.metadata.name };
}

type Found = Omit<Finding, "volume"> | null;

/** Is it in use here, about to be, or not ended yet? */
function useOf({ owner, handOver, former = [] }: VolumeStatus, node: string): Found {
  if (owner?.nodeName === node) return { reason: "InUse", who: node };
  if (handOver?.nodeName === node) return { reason: "HandOver", who: owner?.nodeName ?? node };
  return former.some((f) => f.nodeName === node) ? { reason: "FormerOwner", who: node } : null;
}

/** Is the copy here needed? Not of a volume that is being deleted: nobody reads it, and wiping goes on after a reboot. */
function copyOf(status: VolumeStatus, node: string, alive: ReadonlySet<string>): Found {
  const owner = status.owner?.nodeName;
  const open = openHere(status, node);
  if (open) return { reason: "CopyNotInSync", who: open.state === "Requested" || owner === undefined ? node : owner };
  const mirrors = mirrorsHere(status, node);
  const bad = mirrors.filter((m) => !m.others.some((p) => alive.has(p.nodeID)));
  if (owner === undefined) {
    if (bad.length === 0) return null;
    const silent = nodesOf(bad.flatMap((m) => m.others));
    return silent === "" ? { reason: "OutOfReach", who: node } : { reason: "OtherCopySilent", who: silent };
  }
  if (mirrors.some((m) => m.syncing.length > 0)) return { reason: "CopyNeeded", who: owner };
  if (mirrors.length > 0 && !alive.has(owner)) return { reason: "OwnerSilent", who: owner };
  return bad.length > 0 ? { reason: "LastCopy", who: owner } : null;
}

/** A member on this node that somebody is about to use and that is not in sync: a node that has just come back, a rebuild, a placement. */
function openHere(status: VolumeStatus, node: string): PartitionRecord | undefined {
  const inUse = status.owner !== undefined;
  const states = inUse ? ["Missing", "Syncing", "Requested", "Created"] : ["Requested"];
  return wantedMembers(status).find((p) => p.nodeID === node && states.includes(p.state) && !isRecorded(status, p));
}

function isRecorded(status: VolumeStatus, { partitionUUID }: PartitionRecord): boolean {
  return (status.mirrors ?? []).some((m) => m.inSync.includes(partitionUUID));
}

/** Mirrors with a member of R on this node: their members of R elsewhere, and what is being brought up to date from them. */
function mirrorsHere(status: VolumeStatus, node: string): { others: PartitionRecord[]; syncing: PartitionRecord[] }[] {
  if (!wasUsed(status)) return [];
  return (status.mirrors ?? []).flatMap(({ index, inSync }) => {
    const recorded = (status.partitions ?? []).filter((p) => inSync.includes(p.partitionUUID));
    if (!recorded.some((p) => p.nodeID === node)) return [];
    const syncing = (status.partitions ?? []).filter((p) => p.mirror === index && p.state === "Syncing" && !inSync.includes(p.partitionUUID));
    return [{ others: recorded.filter((p) => p.nodeID !== node), syncing }];
  });
}

/** One sentence for each node that it names. */
function sentencesOf(reason: Reason, findings: readonly Finding[]): string[] {
  const these = findings.filter((f) => f.reason === reason);
  return [...new Set(these.map((f) => f.who))].toSorted().map((who) => SENTENCES[reason](volumesOf(these.filter((f) => f.who === who).map((f) => f.volume)), who));
}

const SENTENCES: Readonly<Record<Reason, (volumes: string, who: string) => string>> = {
  InUse: (volumes) => `in use here: ${volumes}; drain the node, kubelet then unstages what its pods had`,
  HandOver: (volumes) => `about to be used here: ${volumes}; kubelet stages what a pod on this node waits for`,
  FormerOwner: (volumes, who) => `taken over by others: ${volumes}; node ${who} still ends what is left of it`,
  CopyNotInSync: (volumes, who) => `not in sync here: ${volumes}; node ${who} brings the copy up to date`,
  CopyNeeded: (volumes, who) => `another copy is being made from here: ${volumes}; node ${who} brings it up to date`,
  OwnerSilent: (volumes, who) => `in use on node ${who}, whose program is not heard of: ${volumes}; its heartbeat is waited for`,
  LastCopy: (volumes, who) => `in use on node ${who} without another copy in sync on a node that answers: ${volumes}; another copy is waited for, or the end of its use`,
  OtherCopySilent: (volumes, who) => `other copies only on nodes that are not heard of (${who}): ${volumes}; their heartbeats are waited for`,
};

/** "volume a", "3 volumes (a, b, c)", "5 volumes (a, b, c and 2 more)". */
function volumesOf(names: readonly string[]): string {
  const sorted = names.toSorted();
  if (sorted.length === 1) return `volume ${sorted[0]}`;
  const more = sorted.length > NAMES ? ` and ${sorted.length - NAMES} more` : "";
  return `${sorted.length} volumes (${sorted.slice(0, NAMES).join(", ")}${more})`;
}
