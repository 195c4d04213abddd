/**
 * The node of two pods loses its power and stays off: what pods and volumes look like after a minute, after six, and after the out-of-service taint; the pods recover with every acknowledged record. @minutes 40 @byname
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { DeployedCluster } from "../../lab/kubernetes/deployed-cluster.ts";
import { claim, storageClass } from "../../lab/kubernetes/objects.ts";
import { eventually } from "../../lab/world/wait.ts";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { inOrder } from "../in-order.ts";
import { report } from "./report.ts";
import { allReady, bareCluster, deploy, took } from "./support/deployed.ts";
import { PodRecords, singleWriter, workloadMap, writers } from "./support/pod-records.ts";

const test = inOrder();
let cluster: DeployedCluster;
/** A StatefulSet's pod: there is never a second one of its name. A Deployment's: another one is made as soon as it is told to end. */
let [stateful, replaced]: PodRecords[] = [];
let dead = "";
let cut = 0;

before(async () => {
  cluster = await bareCluster(["n1", "n2", "n3"]);
});
after(async () => {
  await Promise.all([stateful?.stop(), replaced?.stop()]);
  await cluster?.down();
});

interface Pods {
  items: {
    metadata: { name: string; labels: { app: string }; deletionTimestamp?: string };
    spec: { nodeName?: string };
    status: { phase: string; conditions?: { type: string; status: string }[] };
  }[];
}

/** Every pod of ours as `APP NODE PHASE ready|unready [ending]`. */
async function pods(): Promise<string[]> {
  const { items } = JSON.parse(await cluster.kubectl("get", "pods", "--output=json")) as Pods;
  return items
    .map(({ metadata, spec, status }) => {
      const ready = (status.conditions ?? []).some(({ type, status: is }) => type === "Ready" && is === "True");
      const where = spec.nodeName === undefined ? "nowhere" : spec.nodeName === dead ? "dead" : "alive";
      return `${metadata.labels.app} ${where} ${status.phase} ${ready ? "ready" : "unready"}${metadata.deletionTimestamp === undefined ? "" : " ending"}`;
    })
    .toSorted();
}

async function volumeOf(claimName: string): Promise<MeshStorVolume> {
  const name = await cluster.kubectl("get", `pvc/${claimName}`, "--output=jsonpath={.spec.volumeName}");
  return JSON.parse(await cluster.kubectl("get", `msvol/${name}`, "--output=json")) as MeshStorVolume;
}

/** A volume as `on dead|alive, PHASE READY`. */
async function volume(claimName: string): Promise<string> {
  const { status } = await volumeOf(claimName);
  return `on ${status?.nodeName === dead ? "dead" : "alive"}, ${status?.phase} ${status?.ready}`;
}

/** Waits until this long after the power cut. */
const at = (seconds: number) => sleep(Math.max(0, cut + seconds * 1000 - performance.now()));

async function say(when: string): Promise<void> {
  report(`${when}: pods: ${(await pods()).join("; ")}; volumes: db ${await volume("data-db-0")}; web ${await volume("web")}`);
  for (const name of ["data-db-0", "web"]) report(`${when}: ${name}: ${(await volumeOf(name)).status?.message || "says nothing"}`);
}

test("two pods write on one node", async () => {
  await deploy(cluster);
  await cluster.apply(await workloadMap(cluster), storageClass("mirrored", { waitForConsumer: true }), writers("db", "mirrored", 1));
  await cluster.until("db-0 runs", "pod/db-0", "{.status.phase}", "Running", 180);
  dead = await cluster.kubectl("get", "pod/db-0", "--output=jsonpath={.spec.nodeName}");
  stateful = new PodRecords(cluster, "db-0");
  await cluster.apply(claim("web", "mirrored"), singleWriter("web", "web", dead));
  replaced = new PodRecords(cluster, "deployment/web", "app=web");
  await replaced.nextRun(0, 180);
  await stateful.progress(40, 60);
  assert.deepEqual(await pods(), ["db dead Running ready", "web dead Running ready"]);
});

test("a minute after the power cut: the node is not ready, its pods are shown as they were, nobody takes their volumes", async () => {
  await cluster.powerOff(dead);
  cut = performance.now();
  await at(60);
  await cluster.until("the node is not ready", `node/${dead}`, '{.status.conditions[?(@.type=="Ready")].status}', "Unknown", 60);
  report(`from the power cut to the node not ready: ${took(cut)}`);
  await eventually("its pods are not ready", 30, async () => (await pods()).every((pod) => pod.endsWith("Running unready")) || (await pods()).join("; "));
  await say("after a minute");
  assert.deepEqual(await pods(), ["db dead Running unready", "web dead Running unready"]);
});

test("six minutes after it: both pods are told to end; the Deployment's runs elsewhere without anybody's help, the StatefulSet's waits for a human", async () => {
  const before = replaced?.runs.at(-1) ?? 0;
  await eventually("the Deployment has a pod that runs elsewhere", 480, async () => (await pods()).includes("web alive Running ready") || (await pods()).join("; "));
  report(`from the power cut to the Deployment's pod on another node: ${took(cut)}`);
  await replaced?.nextRun(before, 60);
  await at(380);
  await say("after six minutes");
  assert.deepEqual(await pods(), ["db dead Running unready ending", "web alive Running ready", "web dead Running unready ending"]);
});

test("after the out-of-service taint the StatefulSet's pod runs elsewhere; nothing acknowledged is lost", async () => {
  const before = stateful?.runs.at(-1) ?? 0;
  const start = performance.now();
  await cluster.kubectl("taint", "node", dead, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute");
  await eventually("db-0 runs elsewhere", 180, async () => (await pods()).includes("db alive Running ready") || (await pods()).join("; "));
  report(`from the taint to the pod running elsewhere: ${took(start)}`);
  await stateful?.nextRun(before, 60);
  report(`from the taint to its first record: ${took(start)}`);
  await eventually("no pod of the dead node is left", 60, async () => (await pods()).length === 2 || (await pods()).join("; "));
  await say("after the taint");
  assert.deepEqual(await pods(), ["db alive Running ready", "web alive Running ready"]);
  const web = (await cluster.kubectl("get", "pods", "--selector=app=web", "--output=jsonpath={.items[0].metadata.name}")).trim();
  assert.deepEqual({ db: await stateful?.lost(), web: await replaced?.lost(web) }, { db: [], web: [] });
});

test("the node comes back, and its copies with it", async () => {
  const start = performance.now();
  await cluster.powerOn(dead);
  await cluster.kubectl("taint", "node", dead, "node.kubernetes.io/out-of-service-");
  await allReady(cluster);
  await eventually("both volumes have two copies", 300, async () => {
    const found = [await volume("data-db-0"), await volume("web")];
    return found.every((each) => each === "on alive, Synced 2/2") || found.join("; ");
  });
  report(`from the node's boot to two copies of both volumes: ${took(start)}`);
  const web = (await cluster.kubectl("get", "pods", "--selector=app=web", "--output=jsonpath={.items[0].metadata.name}")).trim();
  assert.deepEqual(
    { db: await stateful?.lost(), web: await replaced?.lost(web), errors: [...(stateful?.errors ?? []), ...(replaced?.errors ?? [])] },
    { db: [], web: [], errors: [] },
  );
});
