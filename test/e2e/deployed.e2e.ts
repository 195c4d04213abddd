/**
 * Our own manifests deploy our own image: `kubectl apply -f deploy/` on real nodes, then a claim, a pod, and an upgrade of the node program under it. @minutes 30 @byname
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import type { DeployedCluster } from "../../lab/kubernetes/deployed-cluster.ts";
import { storageClass } from "../../lab/kubernetes/objects.ts";
import { eventually } from "../../lab/world/wait.ts";
import { inOrder } from "../in-order.ts";
import { report } from "./report.ts";
import { allReady, bareCluster, deploy, OURS, restarts, took } from "./support/deployed.ts";
import { PodRecords, workloadMap, writers } from "./support/pod-records.ts";
import { timeline } from "./support/timeline.ts";

const test = inOrder();
let cluster: DeployedCluster;
let records: PodRecords | undefined;
before(async () => {
  cluster = await bareCluster(["n1", "n2"]);
});
after(async () => {
  await records?.stop();
  await cluster?.down();
});

test("kubectl apply -f deploy/: every part of it becomes ready", async () => {
  const start = performance.now();
  await deploy(cluster);
  report(`from kubectl apply to all pods ready: ${took(start)}`);
  // On a host that is too busy some end and are started again: told, and no failure.
  report(`started again meanwhile: ${(await restarts(cluster)).join("; ") || "none"}`);
});

test("a claim and a pod", async () => {
  await cluster.apply(await workloadMap(cluster), storageClass("mirrored", { waitForConsumer: true }));
  const start = performance.now();
  await cluster.apply(writers("db", "mirrored", 1));
  records = new PodRecords(cluster, "db-0");
  report(`from a pod with a new claim to running: ${await timeline(cluster, "db-0", "data-db-0", start)}`);
  await records.progress(20, 60);
});

test("the node program is replaced under the pod, which then is deleted with its volume", async () => {
  const since = Date.now();
  await cluster.kubectl(OURS, "rollout", "restart", "daemonset/meshstor-node");
  await allReady(cluster);
  await records?.progress(20, 60);
  report(`longest write while the node programs were replaced: ${records?.longestMs(since).toFixed(0)} ms`);
  const restarted = await cluster.kubectl("get", "pod/db-0", "--output=jsonpath={.status.phase} {.status.containerStatuses[0].restartCount}");
  assert.deepEqual([restarted, records?.errors, await records?.lost()], ["Running 0", [], []]);
  await records?.stop();
  await cluster.kubectl("delete", "statefulset/db", "pvc/data-db-0", "--wait=false");
  await eventually("claims, volumes and records are gone", 240, async () => {
    const left = (await cluster.kubectl("get", "pods,pvc,pv,msvol", "--output=name")).trim();
    return left === "" || `left: ${left.split("\n").join(", ")}`;
  });
});
