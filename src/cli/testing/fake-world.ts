/** For tests only: a controller and an owner that make every volume as it is wanted, in the record alone, against a real API server. */
import { setTimeout as sleep } from "node:timers/promises";
import { API_GROUP, API_VERSION, EMPTY_ANNOTATION } from "../../api/names.ts";
import type { MeshStorVolume, PartitionRecord, VolumeStatus } from "../../api/volume.ts";
import { withConditions } from "../../core/conditions.ts";
import { summariseAtRest } from "../../core/summary.ts";
import type { KubeClient } from "../../kube/client.ts";
import { NODES, VOLUMES } from "../../kube/resources.ts";
import { updateStatus } from "../../kube/update.ts";

const SIZE = 537_919_488;
const now = () => new Date().toISOString().replace(/\.\d+Z$/, "Z");

/** Member of mirror `mirror` on node `n<i>`. */
export function uuidOf(node: string, mirror = 0): string {
  return `${node.slice(1).repeat(8).slice(0, 8)}-0000-4000-8000-00000000000${mirror}`;
}

export function member(node: string, change: Partial<PartitionRecord> = {}): PartitionRecord {
  const mirror = change.mirror ?? 0;
  return { partitionUUID: uuidOf(node, mirror), nodeID: node, drive: `SERIAL-${node}:1`, mirror, state: "Synced", sizeBytes: SIZE, updatedAt: now(), ...change };
}

/** A volume at rest whose copies are on these nodes, all in sync. */
export async function makeVolume(client: KubeClient, name: string, nodes: readonly string[], drivesPerCopy = 1): Promise<MeshStorVolume> {
  const spec = { capacityBytes: 536_870_912, numberOfCopies: nodes.length, drivesPerCopy, memberMissingTimeout: 900, fsType: "xfs" as const };
  const made = await client.create(VOLUMES, { apiVersion: `${API_GROUP}/${API_VERSION}`, kind: "MeshStorVolume", metadata: { name }, spec });
  const indexes = Array.from({ length: drivesPerCopy }, (_, i) => i);
  const status: VolumeStatus = {
    epoch: 1,
    lastStop: "Clean",
    mirrors: indexes.map((index) => ({
      index,
      arrayUUID: `ffff0000-0000-4000-8000-00000000000${index}`,
      created: true,
      generation: 1,
      inSync: nodes.map((n) => uuidOf(n, index)),
    })),
    partitions: indexes.flatMap((mirror) => nodes.map((n) => member(n, { mirror }))),
  };
  return client.replaceStatus(VOLUMES, { ...made, status: told(made, status) });
}

/** With summary and conditions. */
export function told(volume: MeshStorVolume, status: VolumeStatus): VolumeStatus {
  return withConditions(volume, { ...status, ...summariseAtRest({ ...volume, status }) }, now());
}

/** Works until it is stopped. Volumes of one drive per copy only. */
export class FakeWorld {
  readonly #client: KubeClient;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  /** Volumes that nobody cares for now. */
  readonly asleep = new Set<string>();

  constructor(client: KubeClient) {
    this.#client = client;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const nodes = (await this.#client.list(NODES)).items;
      const open = nodes.filter((n) => n.metadata.annotations?.[EMPTY_ANNOTATION] !== "true").map((n) => n.metadata.name);
      for (const { metadata } of (await this.#client.list(VOLUMES)).items)
        if (!this.asleep.has(metadata.name)) await updateStatus(this.#client, metadata.name, (volume) => this.#step(volume, open)).catch(() => {});
      await sleep(300);
    }
  }

  /** One step towards what is wanted. */
  #step(volume: MeshStorVolume, open: readonly string[]): VolumeStatus | null {
    const status = volume.status ?? {};
    const mirror = status.mirrors?.[0];
    if (!mirror || volume.spec.drivesPerCopy > 1) return null;
    const { avoidNodes = [] } = volume.spec as { avoidNodes?: string[] };
    const good = (node: string) => open.includes(node) && !avoidNodes.includes(node);
    const members = status.partitions ?? [];
    const syncing = members.find((p) => p.state === "Syncing");
    const change = (partitions: PartitionRecord[], inSync: string[]) =>
      told(volume, { ...status, partitions, mirrors: [{ ...mirror, inSync, generation: mirror.generation + 1 }] });
    if (syncing)
      return change(
        members.map((p) => (p === syncing ? { ...p, state: "Synced" as const } : p)),
        [...mirror.inSync, syncing.partitionUUID],
      );
    const staying = members.filter((p) => good(p.nodeID));
    const free = open.find((node) => good(node) && !members.some((p) => p.nodeID === node));
    if (staying.length < volume.spec.numberOfCopies && free) return change([...members, member(free, { state: "Syncing" })], mirror.inSync);
    const leaving = members.find((p) => !good(p.nodeID)) ?? (members.length > volume.spec.numberOfCopies ? members[0] : undefined);
    if (leaving && mirror.inSync.length > volume.spec.numberOfCopies)
      return change(
        members.filter((p) => p !== leaving),
        mirror.inSync.filter((uuid) => uuid !== leaving.partitionUUID),
      );
    const summarised = told(volume, status);
    return JSON.stringify(summarised) === JSON.stringify(status) ? null : summarised;
  }
}
