/** The controller of the model: one look and one step of production healing (core/healing), by compare-and-swap. */
import { GiB, MiB } from "../../base/units.ts";
import type { MeshStorVolume, VolumeStatus } from "../../api/volume.ts";
import { sameJson } from "../../base/same.ts";
import { holesOf } from "../gpt-fit.ts";
import { rebuildsOf } from "../healing/guards.ts";
import type { HealingInput } from "../healing/input.ts";
import { healingLimitsOf } from "../healing/limits.ts";
import { afterSight } from "../healing/sight.ts";
import type { CandidateDrive, Cluster } from "../placement/types.ts";
import { isoNow, newID } from "./agent.ts";
import { put } from "./api.ts";
import { tablesOf } from "./host-snapshot.ts";
import type { NodeState, World } from "./world.ts";
import { latest, say, violated } from "./world.ts";

/** controller/heartbeats.ts: a node that is silent for longer is away. */
const FRESH_MS = 40_000;
/** Beyond this a drive has no room for the partition that another outgrew beside the one that takes its place. */
const MOST_BYTES = 2 * GiB;

/** One pass of the controller over the volume. */
export function stepController(w: World): void {
  const volume = latest(w);
  if (volume === null) return;
  const cluster = clusterOf(w, volume);
  w.sights = afterSight(w.sights, volume, cluster, w.nowMs);
  const healing = w.protocol.heal(inputOf(w, volume, cluster));
  if (healing.kind === "none") return;
  checkMembersOnly(volume.status ?? {}, healing.status);
  say(w, `controller: ${healing.why.join("; ")}`);
  // A write whose answer is lost: it stands at once, late, or never.
  if (w.trouble > 0 && w.rng.chance(w.trouble)) return void w.api.pending.push({ over: w.api.versions.length - 1, status: healing.status, from: "controller", landed: false });
  put(w, { ...volume, status: healing.status });
}

/** Ownership and R are the owner's alone. */
export function checkMembersOnly(before: VolumeStatus, after: VolumeStatus): void {
  for (const field of ["mirrors", "owner", "epoch", "former", "filesystem"] as const)
    if (!sameJson(before[field], after[field])) violated("record", `the controller changes ${field}`);
}

function inputOf(w: World, volume: MeshStorVolume, cluster: Cluster): HealingInput {
  const now = isoNow(w);
  return {
    volume,
    cluster,
    nodeNames: new Set(w.nodes.map((n) => n.name)),
    rebuilds: rebuildsOf([volume]),
    sights: w.sights,
    nowMs: w.nowMs,
    wallMs: Date.parse(now),
    stale: false,
    limits: healingLimitsOf(),
    now,
    ids: Array.from({ length: volume.spec.drivesPerCopy }, () => newID(w)),
  };
}

function clusterOf(w: World, volume: MeshStorVolume): Cluster {
  const requested = (volume.status?.partitions ?? []).filter((p) => p.state === "Requested");
  return {
    nodes: w.nodes.map((n) => ({ name: n.name, ready: w.nowMs - n.heartbeatMs <= FRESH_MS, cordoned: false, topology: {} })),
    drives: w.nodes.flatMap(drivesOf),
    reservations: requested.filter((p) => !w.nodes.some((n) => n.drives.some((d) => d.parts.some((x) => x.uuid === p.partitionUUID)))),
  };
}

function drivesOf(n: NodeState): CandidateDrive[] {
  return [...tablesOf(n)].map(([drive, table]) => {
    const holes = holesOf(table);
    const status = {
      nodeName: n.name,
      drive,
      device: drive,
      model: "",
      serial: drive,
      sizeBytes: table.lastUsableByte + 1,
      freeBytes: holes.reduce((sum, h) => sum + h.sizeBytes, 0),
      biggestHoleBytes: Math.max(0, ...holes.map((h) => h.sizeBytes)),
      sectorSize: 512,
      holes,
      freePartitionEntries: table.maxEntries - table.entries.length,
      localPartitions: 0,
      remotePartitions: 0,
      unknownPartitions: 0,
      writeZeroes: true,
      health: "Usable",
    };
    return { use: "Auto" as const, status };
  });
}

/** A person scales the volume, as far as its nodes allow. */
export function scale(w: World, copies: number): void {
  const volume = latest(w);
  if (!volume || volume.metadata.deletionTimestamp) return;
  const most = w.nodes.length - (volume.spec.avoidNodes ?? []).length;
  const numberOfCopies = Math.max(1, Math.min(copies, most));
  say(w, `scaled to ${numberOfCopies} copies`);
  put(w, { ...volume, spec: { ...volume.spec, numberOfCopies } });
}

/** A person wants a bigger volume. */
export function grow(w: World, byBytes: number): void {
  const volume = latest(w);
  if (!volume || volume.metadata.deletionTimestamp || volume.spec.capacityBytes + byBytes > MOST_BYTES) return;
  const capacityBytes = volume.spec.capacityBytes + byBytes;
  say(w, `${capacityBytes / MiB} MiB are wanted`);
  put(w, { ...volume, spec: { ...volume.spec, capacityBytes } });
}

/** A person wants no copy on a node any more, or lifts that. */
export function avoid(w: World, node: string): void {
  const volume = latest(w);
  if (!volume || volume.metadata.deletionTimestamp || (node !== "" && volume.spec.numberOfCopies >= w.nodes.length)) return;
  say(w, node === "" ? "copies may be on every node" : `no copy shall be on node ${node}`);
  const { avoidNodes: _before, ...spec } = volume.spec;
  put(w, { ...volume, spec: node === "" ? spec : { ...spec, avoidNodes: [node] } });
}

/** How long a member may be missing. */
export function setTimeOut(w: World, seconds: number): void {
  const volume = latest(w);
  if (volume) put(w, { ...volume, spec: { ...volume.spec, memberMissingTimeout: seconds } });
}
