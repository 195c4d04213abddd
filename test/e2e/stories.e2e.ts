/**
 * What a user does to a cluster of three nodes with our own manifests: StatefulSet, drain, growth, copies, upgrade, deletion, a retained volume; pods write all the while and lose nothing. @minutes 45 @byname
 */
import assert from "node:assert/strict";
import { after, before, test as story } from "node:test";
import type { DeployedCluster } from "../../lab/kubernetes/deployed-cluster.ts";
import type { Manifest } from "../../lab/control-plane/objects.ts";
import { claim, pod, storageClass } from "../../lab/kubernetes/objects.ts";
import { traces } from "../../lab/world/inspect.ts";
import { eventually } from "../../lab/world/wait.ts";
import { DRIVER_NAME } from "../../src/api/names.ts";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { inOrder } from "../in-order.ts";
import { report } from "./report.ts";
import { allReady, bareCluster, deploy, OURS, restarts, took } from "./support/deployed.ts";
import { PodRecords, workloadMap, writers } from "./support/pod-records.ts";
import { timeline } from "./support/timeline.ts";

const NODES = ["n1", "n2", "n3"];
const PODS = ["db-0", "db-1", "db-2"];
/** What all the others need. */
const first = inOrder();
let begun = false;
let cluster: DeployedCluster;
let records: ReadonlyMap<string, PodRecords> = new Map();

before(async () => {
  cluster = await bareCluster(NODES);
});
after(async () => {
  await Promise.all([...records.values()].map((each) => each.stop()));
  await cluster?.down();
});

const json = (value: unknown) => JSON.stringify(value);
const nodeOf = (name: string) => cluster.kubectl("get", `pod/${name}`, "--output=jsonpath={.spec.nodeName}");
const volumeOf = (name: string) => cluster.kubectl("get", `pvc/data-${name}`, "--output=jsonpath={.spec.volumeName}");
const volume = async (name: string) => JSON.parse(await cluster.kubectl("get", `msvol/${name}`, "--output=json")) as MeshStorVolume;
const recordsOf = (name: string) => records.get(name) ?? assert.fail(`nobody collects what ${name} says`);

/** Nodes that hold a copy which is in use. */
async function copiesOf(name: string): Promise<string[]> {
  const { status } = await volume(name);
  return (status?.partitions ?? [])
    .filter(({ state }) => state !== "Deleting")
    .map(({ nodeID }) => nodeID)
    .toSorted();
}

/** Every writer met no error, was never started again, and everything that it was told is written can be read. */
async function allWell(names: readonly string[] = PODS): Promise<void> {
  const found = await Promise.all(
    names.map(async (name) => ({
      name,
      restarts: await cluster.kubectl("get", `pod/${name}`, "--output=jsonpath={.status.containerStatuses[0].restartCount}"),
      errors: recordsOf(name).errors,
      wrong: await recordsOf(name).lost(),
    })),
  );
  assert.deepEqual(
    found,
    names.map((name) => ({ name, restarts: "0", errors: [], wrong: [] })),
  );
}

/** The longest write of every pod since a moment, as a report says it. */
const pauses = (since: number) => PODS.map((name) => `${name} ${recordsOf(name).longestMs(since).toFixed(0)} ms`).join(", ");

/** Waits until a volume has `ready` copies in sync, all that it has. */
async function synced(name: string, ready: string, seconds = 180): Promise<void> {
  await cluster.until(`${name} has ${ready} copies`, `msvol/${name}`, "{.status.ready} {.status.phase}", `${ready} Synced`, seconds);
}

function attributes(copies: number): Manifest {
  return {
    apiVersion: "storage.k8s.io/v1",
    kind: "VolumeAttributesClass",
    metadata: { name: `copies-${copies}` },
    driverName: DRIVER_NAME,
    parameters: { numberOfCopies: String(copies) },
  };
}

first("kubectl apply -f deploy/: every part of it becomes ready", async () => {
  const start = performance.now();
  await deploy(cluster);
  report(`from kubectl apply to all programs ready on three nodes: ${took(start)}`);
  // On a host that is too busy some end and are started again: told, and no failure.
  report(`started again meanwhile: ${(await restarts(cluster)).join("; ") || "none"}`);
});

first("a StatefulSet of three: a volume for each", async () => {
  await cluster.apply(await workloadMap(cluster), storageClass("mirrored", { waitForConsumer: true }), storageClass("kept", { waitForConsumer: true, reclaimPolicy: "Retain" }));
  const start = performance.now();
  await cluster.apply(writers("db", "mirrored", 3));
  records = new Map(PODS.map((name) => [name, new PodRecords(cluster, name)]));
  report(`db-0, from a new claim (three at once): ${await timeline(cluster, "db-0", "data-db-0", start)}`);
  for (const name of PODS) await cluster.until(`${name} runs`, `pod/${name}`, "{.status.phase}", "Running", 180);
  report(`a StatefulSet of three runs: ${took(start)}`);
  for (const name of PODS) await recordsOf(name).progress(20, 60);
  console.log(await cluster.kubectl("get", "pods,pvc,msvol", "--output=wide"));
  await allWell();
  begun = true;
});

/** Each goes on from what the first ones made, and tells of itself also where another one failed. */
function test(name: string, work: () => Promise<void>): void {
  story(name, async (t) => {
    if (!begun) return t.skip("there is no StatefulSet");
    try {
      await work();
    } catch (error) {
      console.log(await cluster.kubectl("get", "nodes,pods,pvc,pv,msvol", "--all-namespaces", "--output=wide"));
      throw error;
    }
  });
}

test("drained: the consumer's pod follows its data, and a pod whose provider is drained notices nothing", async () => {
  // A node that holds copies of others too: a drain of a consumer and of a provider at once.
  const node = await nodeOf("db-1");
  const stay: string[] = [];
  for (const name of PODS) if ((await nodeOf(name)) !== node) stay.push(name);
  const provided: string[] = [];
  for (const name of stay) if ((await copiesOf(await volumeOf(name))).includes(node)) provided.push(name);
  const since = Date.now();
  const before = recordsOf("db-1").runs.at(-1) ?? 0;
  const start = performance.now();
  await cluster.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=110s");
  report(`drain of ${node}, where db-1 runs and which holds copies of ${provided.join(" and ") || "no other"}: ${took(start)}`);
  await cluster.until("db-1 runs again", "pod/db-1", "{.status.phase}", "Running", 180);
  await recordsOf("db-1").nextRun(before, 60);
  report(`from the drain to db-1's first record elsewhere: ${took(start)}`);
  const moved = await nodeOf("db-1");
  assert.notEqual(moved, node);
  await cluster.until("the record names its node", `msvol/${await volumeOf("db-1")}`, "{.status.nodeName}", moved);
  for (const name of stay) await recordsOf(name).progress(20, 60);
  report(`longest write during the drain: ${stay.map((name) => `${name} ${recordsOf(name).longestMs(since).toFixed(0)} ms`).join(", ")}`);
  await allWell();
  await cluster.kubectl("uncordon", node);
  await allReady(cluster);
  // Its copy on the drained node was served all the while.
  for (const name of PODS) await synced(await volumeOf(name), "2/2");
});

test("a claim grows while its pod writes", async () => {
  const since = Date.now();
  const start = performance.now();
  const { spec } = await volume(await volumeOf("db-0"));
  await cluster.kubectl("patch", "pvc/data-db-0", "--type=merge", "--patch", json({ spec: { resources: { requests: { storage: "1Gi" } } } }));
  await cluster.until("the claim has its new size", "pvc/data-db-0", "{.status.capacity.storage}", "1Gi", 180);
  report(`from 512Mi to 1Gi under a writer: ${took(start)}`);
  const grown = await volume(await volumeOf("db-0"));
  assert.deepEqual([spec.capacityBytes, grown.spec.capacityBytes], [2 ** 29, 2 ** 30]);
  const statfs = "console.log(require('fs').statfsSync('/data').blocks * require('fs').statfsSync('/data').bsize)";
  const bytes = Number(await cluster.kubectl("exec", "db-0", "--", "node", "-e", statfs));
  assert.ok(bytes > 0.85 * 2 ** 30, `the filesystem has ${bytes} bytes`);
  await recordsOf("db-0").progress(20, 60);
  report(`longest write during the growth: ${recordsOf("db-0").longestMs(since).toFixed(0)} ms`);
  await allWell();
});

test("a VolumeAttributesClass scales the copies: 2, 1, 2, 3, 2, while the pod writes", async () => {
  const name = await volumeOf("db-2");
  await cluster.apply(...[1, 2, 3].map(attributes));
  const since = Date.now();
  for (const copies of [1, 2, 3, 2]) {
    const start = performance.now();
    await cluster.kubectl("patch", "pvc/data-db-2", "--type=merge", "--patch", json({ spec: { volumeAttributesClassName: `copies-${copies}` } }));
    await cluster.until("the class is in force", "pvc/data-db-2", "{.status.currentVolumeAttributesClassName}", `copies-${copies}`, 90);
    const told = took(start);
    await synced(name, `${copies}/${copies}`, 240);
    await eventually("no copy too many is left", 120, async () => (await copiesOf(name)).length === copies || json(await copiesOf(name)));
    report(`to ${copies} ${copies === 1 ? "copy" : "copies"}: told ${told}, so it is after ${took(start)}`);
    await recordsOf("db-2").progress(10, 60);
  }
  report(`longest write while the copies changed: ${recordsOf("db-2").longestMs(since).toFixed(0)} ms`);
  await allWell();
});

test("node programs and controllers are upgraded under load: no error, no lost record", async () => {
  const [image] = (await cluster.kubectl(OURS, "get", "daemonset/meshstor-node", "--output=jsonpath={.spec.template.spec.containers[0].image}")).split("\n");
  const next = `${image}-next`;
  for (const name of NODES) {
    await cluster.lab.guest(name).exec(["ctr", "--namespace=k8s.io", "images", "tag", `docker.io/library/${image}`, `docker.io/library/${next}`]);
  }
  const since = Date.now();
  const start = performance.now();
  await cluster.kubectl(OURS, "set", "image", "statefulset/meshstor-controller", `controller=${next}`);
  await cluster.kubectl(OURS, "set", "image", "daemonset/meshstor-node", `node=${next}`);
  await allReady(cluster, 300);
  report(`upgrade of three node programs, one after the other, and two controllers: ${took(start)}`);
  for (const name of PODS) await recordsOf(name).progress(20, 60);
  report(`longest write during the upgrade: ${pauses(since)}`);
  const images = await cluster.kubectl(OURS, "get", "pods", String.raw`--output=jsonpath={range .items[*]}{.spec.containers[0].image}{"\n"}{end}`);
  assert.deepEqual([...new Set(images.trim().split("\n"))], [next]);
  await allWell();
  for (const name of PODS) await synced(await volumeOf(name), "2/2");
  // The upgraded controller makes volumes.
  await cluster.apply(claim("upgraded", "mirrored"), pod("upgraded", "upgraded", "echo done >/data/done; sync", { restartPolicy: "Never" }));
  await cluster.until("a new volume is made and written", "pod/upgraded", "{.status.phase}", "Succeeded", 180);
  await cluster.kubectl("delete", "pod/upgraded", "pvc/upgraded", "--wait=false");
  await cluster.gone("pvc/upgraded", 120);
});

test("a retained volume outlives its claim, and is bound to another one with what was written", async () => {
  await cluster.apply(claim("keep", "kept"), pod("keep", "keep", "echo kept >/data/word; sync", { restartPolicy: "Never" }));
  await cluster.until("it is written", "pod/keep", "{.status.phase}", "Succeeded", 180);
  const kept = await cluster.kubectl("get", "pvc/keep", "--output=jsonpath={.spec.volumeName}");
  await cluster.kubectl("delete", "pod/keep", "pvc/keep", "--wait=false");
  await cluster.gone("pvc/keep", 120);
  await cluster.until("the volume is released", `pv/${kept}`, "{.status.phase}", "Released");
  await cluster.kubectl("patch", `pv/${kept}`, "--type=merge", "--patch", json({ spec: { claimRef: null } }));
  const again = claim("again", "kept");
  await cluster.apply({ ...again, spec: { ...(again["spec"] as object), volumeName: kept } }, pod("again", "again", "grep kept /data/word", { restartPolicy: "Never" }));
  await cluster.until("what was written is read", "pod/again", "{.status.phase}", "Succeeded", 180);
  // Retain becomes Delete: the volume goes with its claim.
  await cluster.kubectl("patch", `pv/${kept}`, "--type=merge", "--patch", json({ spec: { persistentVolumeReclaimPolicy: "Delete" } }));
  await cluster.kubectl("delete", "pod/again", "pvc/again", "--wait=false");
  for (const object of ["pvc/again", `pv/${kept}`, `msvol/${kept}`]) await cluster.gone(object, 180);
});

test("ten pods with claims in a loop, then the StatefulSet, are deleted: nothing is left behind", async () => {
  const start = performance.now();
  for (let count = 1; count <= 10; count++) {
    const name = `loop-${count}`;
    await cluster.apply(claim(name, "mirrored"), pod(name, name, "echo x >/data/x; sync", { restartPolicy: "Never" }));
    await cluster.until(`${name} has ended well`, `pod/${name}`, "{.status.phase}", "Succeeded", 180);
    await cluster.kubectl("delete", `pod/${name}`, `pvc/${name}`, "--wait=false");
    await cluster.gone(`pod/${name}`, 120);
  }
  report(`ten pods, each with a new claim, one after the other: ${took(start)}`);
  await allWell();
  await Promise.all([...records.values()].map((each) => each.stop()));
  const deleting = performance.now();
  await cluster.kubectl("delete", "statefulset/db", "--wait=false");
  await cluster.kubectl("delete", "pvc", "--all", "--wait=false");
  await eventually("claims, volumes and records are gone", 240, async () => {
    const left = (await cluster.kubectl("get", "pods,pvc,pv,msvol", "--output=name")).trim();
    return left === "" || `left: ${left.split("\n").join(", ")}`;
  });
  report(`from the deletion of three used volumes to no record of them: ${took(deleting)}`);
  const folders = "ls /var/lib/kubelet/plugins/kubernetes.io/csi/*/ 2>/dev/null | wc -l";
  for (const name of NODES) {
    const guest = cluster.lab.guest(name);
    assert.deepEqual([await traces(guest), await guest.sh(folders)], [[], "0"], `${name} keeps something`);
  }
  assert.equal(await cluster.kubectl("get", "volumeattachments", "--output=name"), "", "nothing was ever attached by the control plane");
});
