import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { EMPTY_ANNOTATION } from "../api/names.ts";
import { GiB } from "../base/units.ts";
import { NODES, VOLUMES } from "../kube/resources.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { isUnwell } from "./unwell.ts";

const NAME = "pvc-heal";
const drives = (node: string) => [1, 2].map((i) => ({ id: `${node}${i}`, sizeBytes: 10 * GiB }));

/** A cluster with a volume in use on a, its copies on a and b. */
function clusterOf(names: string, change: Partial<VolumeStatus> = {}): FakeCluster {
  const cluster = new FakeCluster(Object.fromEntries(names.split("").map((name) => [name, drives(name)])));
  const at = new Date(Date.now() - 10_000).toISOString().replace(/\.\d+Z$/, "Z");
  const partition = (node: string) => ({ partitionUUID: `p-${node}`, nodeID: node, drive: `${node}1`, mirror: 0, state: "Synced" as const, sizeBytes: GiB, updatedAt: at });
  const owner = { nodeName: "a", nodeUID: "u-a", bootID: "b", since: at, start: "First" as const };
  const mirrors = [{ index: 0, arrayUUID: "x", created: true, generation: 1, inSync: ["p-a", "p-b"] }];
  const status: VolumeStatus = { epoch: 1, owner, mirrors, partitions: [partition("a"), partition("b")], ...change };
  const volume: MeshStorVolume = {
    apiVersion: "csi.meshstor.io/v1alpha1",
    kind: "MeshStorVolume",
    metadata: { name: NAME, finalizers: ["csi.meshstor.io/partitions"] },
    spec: { capacityBytes: GiB, numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 60, fsType: "xfs" },
    status,
  };
  cluster.kube.seed(VOLUMES, volume);
  return cluster;
}
const statusOf = (cluster: FakeCluster) => cluster.volume(NAME)!.status!;
const states = (cluster: FakeCluster) => statusOf(cluster).partitions!.map((p) => `${p.nodeID} ${p.state}${p.replaces === undefined ? "" : ` for ${p.replaces}`}`);
function setStatus(cluster: FakeCluster, change: (status: VolumeStatus) => VolumeStatus): void {
  const volume = cluster.volume(NAME)!;
  cluster.kube.seed(VOLUMES, { ...volume, status: change(volume.status!) });
}
async function eventually(cluster: FakeCluster, what: string, holds: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within 20 s: ${what}; ${JSON.stringify(statusOf(cluster))}`);
    await sleep(10);
  }
}
/** Time passes, for controllers, who look at the volume now and then; these nodes go on living. */
async function pass(cluster: FakeCluster, times: number, ms: number, alive: string): Promise<void> {
  for (let i = 0; i < times; i += 1) {
    cluster.aheadMs += ms;
    for (const name of alive.split("")) cluster.beat(name);
    await sleep(50);
    setStatus(cluster, (s) => ({ ...s, message: `look ${i}` }));
    await sleep(50);
  }
}
function story(name: string, cluster: () => FakeCluster, body: (cluster: FakeCluster) => Promise<void>): void {
  test(name, async () => {
    const made = cluster();
    try {
      await body(made);
    } finally {
      await made.stop();
    }
  });
}
const loseB = (cluster: FakeCluster) =>
  setStatus(cluster, (s) => ({
    ...s,
    mirrors: [{ ...s.mirrors![0]!, generation: 2, inSync: ["p-a"] }],
    partitions: s.partitions!.map((p) => (p.nodeID === "b" ? { ...p, state: "Missing" as const } : p)),
  }));

story(
  "a member that is missing too long is replaced; the node program makes the new partition",
  () => clusterOf("abc"),
  async (cluster) => {
    await cluster.controller();
    loseB(cluster);
    await sleep(50);
    await pass(cluster, 4, 30_000, "ac");
    await eventually(cluster, "replaced", () => states(cluster).join() === "a Synced,b Faulty,c Created for p-b");
    const { mirrors, owner, epoch } = statusOf(cluster);
    assert.deepEqual([mirrors![0]!.inSync, owner!.nodeName, epoch], [["p-a"], "a", 1]);
  },
);

story(
  "no place is said, and found as soon as there is a node",
  () => clusterOf("ab"),
  async (cluster) => {
    cluster.kube.seed(NODES, { apiVersion: "v1", kind: "Node", metadata: { name: "b" }, spec: { unschedulable: true } });
    loseB(cluster);
    setStatus(cluster, (s) => ({ ...s, partitions: s.partitions!.map((p) => (p.nodeID === "b" ? { ...p, state: "Faulty" as const, failedJoins: 3, drive: "b1" } : p)) }));
    await cluster.controller();
    await eventually(cluster, "said", () => (statusOf(cluster).placementMessage ?? "").startsWith("No replacement node available: "));
    assert.equal(statusOf(cluster).partitions![1]!.message, statusOf(cluster).placementMessage);
    cluster.addNode("c");
    for (const drive of drives("c")) cluster.addDrive("c", drive);
    await eventually(cluster, "placed on the new node", () => states(cluster).join() === "a Synced,b Faulty,c Created for p-b");
    assert.deepEqual([statusOf(cluster).placementMessage, statusOf(cluster).partitions![1]!.message], [undefined, undefined]);
  },
);

story(
  "a node that is emptied is told to the volume, which gets a copy elsewhere; a node that is gone for good is disowned",
  () => clusterOf("abc"),
  async (cluster) => {
    await cluster.controller();
    cluster.kube.seed(NODES, { apiVersion: "v1", kind: "Node", metadata: { name: "b", annotations: { [EMPTY_ANNOTATION]: "true" } }, spec: {} });
    await eventually(cluster, "moved", () => states(cluster).join() === "a Synced,b Synced,c Created for p-b");
    assert.deepEqual(statusOf(cluster).leavingNodes, ["b"]);
    const gone = { partitionUUID: "p-z", nodeID: "z", drive: "z1", mirror: 0, state: "Deleting" as const, detached: true, sizeBytes: GiB, updatedAt: "2026-11-20T10:00:00Z" };
    cluster.nodes.asleep.add("z");
    setStatus(cluster, (s) => ({ ...s, partitions: [...s.partitions!, gone] }));
    await eventually(cluster, "disowned", () => !statusOf(cluster).partitions!.some((p) => p.nodeID === "z"));
  },
);

test("unwell: in use, and not as it shall be", () => {
  const cluster = clusterOf("ab");
  const volume = cluster.volume(NAME)!;
  const of = (change: Partial<VolumeStatus>, copies = 2) => isUnwell({ ...volume, spec: { ...volume.spec, numberOfCopies: copies }, status: { ...volume.status, ...change } });
  const { owner: _owner, ...idle } = volume.status!;
  assert.deepEqual(
    [
      of({}),
      of({}, 3),
      of({ leavingNodes: ["b"] }),
      of({ leavingNodes: ["c"] }),
      of({ placementMessage: "x" }),
      isUnwell({ ...volume, status: { ...idle, placementMessage: "x" } }),
    ],
    [false, true, true, false, true, false],
  );
  return cluster.stop();
});
