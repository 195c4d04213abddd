/**
 * Placement of a volume's copies: filters leave the suitable nodes and drives, scores order them.
 * Copy r is one member of every mirror, all on one node, on distinct drives. Pure.
 */
import { type DriveView, drivesOf, judgeDrive, judgeNode, type MemberNeed } from "./filters.ts";
import { scoreDrive, tieBreak } from "./score.ts";
import { exactSize } from "./sizes.ts";
import type { CandidateNode, Cluster, NodeRefusal, PlacedCopy, Placement, PlacementRequest, PlacementWish } from "./types.ts";

/** Sector sizes that are tried when none is asked for, the better one first. */
const SECTOR_SIZES = [4096, 512] as const;
const MOST_DRIVES_NAMED = 4;
const MOST_NODES_NAMED = 8;

export function sectorSizesOf(wish: PlacementWish): readonly number[] {
  return wish.sectorSize === undefined ? SECTOR_SIZES : [wish.sectorSize];
}

/** A node that can take a copy. */
interface Candidate {
  node: CandidateNode;
  /** The drives that it would take, best first. */
  drives: string[];
  score: number;
}

interface NodeVerdict {
  candidate: Candidate | null;
  refusal: NodeRefusal | null;
  /** It would do if it had more free space. */
  wouldDo: boolean;
  /** Drives that would do if they had more free space. */
  drives: number;
}

interface Attempt {
  sectorSize: number;
  candidates: Candidate[];
  refused: NodeRefusal[];
  wouldDo: number;
  drives: number;
}

/** Chooses a node and drives for every copy, or says for every node why not. */
export function place(cluster: Cluster, request: PlacementRequest): Placement {
  const attempts: Attempt[] = [];
  for (const sectorSize of sectorSizesOf(request)) {
    const attempt = judgeAll(cluster, request, sectorSize);
    if (attempt.candidates.length >= request.copies) {
      return { ok: true, sectorSize, copies: choose(attempt.candidates, request), refused: attempt.refused };
    }
    attempts.push(attempt);
  }
  return refusal(attempts, request);
}

function judgeAll(cluster: Cluster, request: PlacementRequest, sectorSize: number): Attempt {
  const need = { sectorSize, partitionBytes: request.partitionBytes };
  const verdicts = cluster.nodes.map((node) => judge(cluster, node, need, request));
  return {
    sectorSize,
    candidates: verdicts.flatMap((v) => v.candidate ?? []),
    refused: verdicts.flatMap((v) => v.refusal ?? []),
    wouldDo: verdicts.filter((v) => v.wouldDo).length,
    drives: verdicts.reduce((sum, v) => sum + v.drives, 0),
  };
}

function judge(cluster: Cluster, node: CandidateNode, need: MemberNeed, request: PlacementRequest): NodeVerdict {
  const unfit = judgeNode(node, request);
  if (unfit !== null) return { candidate: null, refusal: { node: node.name, why: unfit }, wouldDo: false, drives: 0 };
  const judged = drivesOf(cluster, node.name).map((drive) => ({ drive, refusal: judgeDrive(drive, need, request) }));
  const good = judged.filter((j) => j.refusal === null).map((j) => j.drive);
  const drives = judged.filter((j) => j.refusal === null || j.refusal.space).length;
  const wouldDo = drives >= request.drivesPerCopy;
  if (good.length >= request.drivesPerCopy) return { candidate: candidateOf(node, good, need, request), refusal: null, wouldDo, drives };
  const clauses = judged.flatMap(({ drive, refusal }) => (refusal ? `drive ${drive.status.drive} ${refusal.why}` : []));
  return { candidate: null, refusal: { node: node.name, why: drivesClause(good.length, request.drivesPerCopy, clauses) }, wouldDo, drives };
}

function drivesClause(good: number, needed: number, clauses: string[]): string {
  const named = clauses.slice(0, MOST_DRIVES_NAMED).join(", ");
  const more = clauses.length > MOST_DRIVES_NAMED ? `, and ${clauses.length - MOST_DRIVES_NAMED} more` : "";
  const count = good === 0 ? "has no suitable drive" : `has ${good} suitable ${good === 1 ? "drive" : "drives"}`;
  const wanted = needed === 1 ? "" : `, ${needed} are needed`;
  return `${count}${wanted}${named === "" ? "" : ` (${named}${more})`}`;
}

function candidateOf(node: CandidateNode, good: DriveView[], need: MemberNeed, request: PlacementRequest): Candidate {
  const scored = good.map((drive) => ({ id: drive.status.drive, score: scoreDrive(drive, need.partitionBytes) }));
  const seed = `${request.seed}/${node.name}`;
  scored.sort((a, b) => b.score - a.score || tieBreak(seed, a.id) - tieBreak(seed, b.id) || compareText(a.id, b.id));
  const taken = scored.slice(0, request.drivesPerCopy);
  const score = taken.reduce((sum, drive) => sum + drive.score, 0) / taken.length;
  return { node, drives: taken.map((drive) => drive.id), score };
}

/** One node after the other; each choice looks at those before it (spread). */
function choose(candidates: Candidate[], request: PlacementRequest): PlacedCopy[] {
  const left = [...candidates];
  const chosen: Candidate[] = [];
  while (chosen.length < request.copies) {
    left.sort((a, b) => compareCandidates(a, b, chosen, request));
    chosen.push(left.shift()!);
  }
  return chosen.map((candidate) => ({ node: candidate.node.name, drives: candidate.drives, why: reason(candidate, request) }));
}

function compareCandidates(a: Candidate, b: Candidate, chosen: Candidate[], request: PlacementRequest): number {
  const { seed } = request;
  return (
    preferenceRank(a, request) - preferenceRank(b, request) ||
    favour(a, request) - favour(b, request) ||
    compareSpread(a, b, chosen, request.spread) ||
    b.score - a.score ||
    tieBreak(seed, a.node.name) - tieBreak(seed, b.node.name) ||
    compareText(a.node.name, b.node.name)
  );
}

function preferenceRank({ node }: Candidate, request: PlacementRequest): number {
  const index = request.preferredNodes.indexOf(node.name);
  return index < 0 ? request.preferredNodes.length : index;
}

function favour({ node }: Candidate, request: PlacementRequest): number {
  return request.favouredNodes.includes(node.name) ? 0 : 1;
}

/** Fewer chosen nodes with the same value of a topology key is better; the first key that differs decides. */
function compareSpread(a: Candidate, b: Candidate, chosen: Candidate[], keys: readonly string[]): number {
  for (const key of keys) {
    const same = (c: Candidate) => chosen.filter((other) => other.node.topology[key] === c.node.topology[key]).length;
    const difference = same(a) - same(b);
    if (difference !== 0) return difference;
  }
  return 0;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function reason(candidate: Candidate, request: PlacementRequest): string {
  if (request.preferredNodes.includes(candidate.node.name)) return "preferred by the request";
  return `score ${candidate.score.toFixed(3)}`;
}

function refusal(attempts: Attempt[], request: PlacementRequest): Placement {
  const wouldDo = Math.max(0, ...attempts.map((a) => a.wouldDo));
  const nearest = attempts.toSorted((a, b) => b.candidates.length - a.candidates.length || b.wouldDo - a.wouldDo || b.drives - a.drives)[0];
  const refused = nearest?.refused ?? [];
  const code = wouldDo < request.copies ? "NotEnoughNodes" : "NoCapacity";
  const found = nearest?.candidates.length ?? 0;
  const size = exactSize(request.partitionBytes);
  const drives = request.drivesPerCopy === 1 ? `a drive with ${size} free in one piece` : `${request.drivesPerCopy} drives with ${size} free in one piece each`;
  const nodes = request.copies === 1 ? "1 node" : `${request.copies} nodes`;
  const named = refused.slice(0, MOST_NODES_NAMED).map((r) => `node ${r.node} ${r.why}`);
  const why = [...named, ...(refused.length > named.length ? [`and ${refused.length - named.length} more`] : [])].join("; ");
  const message = `${nodes} with ${drives} needed, ${found} found${why === "" ? "" : `: ${why}`}`;
  return { ok: false, code, message, refused };
}
