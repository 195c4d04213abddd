/**
 * Our own manifests deploy our own image: `kubectl apply -f deploy/` on real nodes, then a claim, a pod, and an upgrade of the node program under it. @minutes 30 @byname
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { DeployedCluster } from "../../lab/kubernetes/deployed-cluster.ts";
import { claim, pod, storageClass } from "../../lab/kubernetes/objects.ts";
import type { Sidecar } from "../../lab/kubernetes/sidecars.ts";
import { makeImage } from "../../tools/image.ts";
import { ensurePeers } from "../../tools/setup/peers.ts";
import { ensureProgramImage } from "../../tools/setup/program-image.ts";
import { report } from "./report.ts";

const DEPLOY = join(import.meta.dirname, "../../deploy");

/** Every image that the manifests name, as a tar: ours, and the sidecars made from the programs that set-up builds. */
async function images(): Promise<string[]> {
  const texts = readdirSync(DEPLOY)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => readFileSync(join(DEPLOY, name), "utf8"));
  const names = new Set(texts.flatMap((text) => [...text.matchAll(/^\s+image: (\S+)/gm)].map(([, name]) => name ?? "")));
  const found: string[] = [(await makeImage()).path];
  for (const name of names) {
    const program = basename(name).split(":")[0] ?? "";
    if (!program.startsWith("csi-")) continue;
    const { [program as Sidecar]: path } = await ensurePeers([program as Sidecar]);
    found.push(await ensureProgramImage(path, name));
  }
  return found;
}

let cluster: DeployedCluster;
before(async () => {
  const start = performance.now();
  cluster = await DeployedCluster.up({ images: await images(), say: (line) => console.log(((performance.now() - start) / 1000).toFixed(1), line) });
});
after(() => cluster?.down());

const took = (start: number) => `${((performance.now() - start) / 1000).toFixed(1)} s`;

test("kubectl apply -f deploy/: every part of it becomes ready", async () => {
  const start = performance.now();
  await cluster.kubectl("apply", "-f", DEPLOY);
  // A guest is slower than a host, and shares the machine: the program's own deadlines are stretched, as for programs that the lab starts itself.
  await cluster.kubectl("--namespace=meshstor", "set", "env", "daemonset/meshstor-node", "MESHSTOR_TIME_SCALE=5");
  for (const [what, path, wanted] of [
    ["daemonset/meshstor-node", "{.status.numberReady}", "2"],
    ["statefulset/meshstor-controller", "{.status.readyReplicas}", "2"],
  ] as const) {
    for (let tries = 0; ; tries++) {
      const value = await cluster.kubectl("--namespace=meshstor", "get", what, `--output=jsonpath=${path}`);
      if (value === wanted) break;
      if (tries % 20 === 10) console.log(await cluster.kubectl("--namespace=meshstor", "get", "pods", "-o", "wide"));
      if (tries > 200) throw new Error(await cluster.kubectl("--namespace=meshstor", "describe", "pods"));
      await new Promise((r) => setTimeout(r, 1500));
    }
    console.log(what, "ready", took(start));
  }
  report(`from kubectl apply to all pods ready: ${took(start)}`);
  console.log(await cluster.kubectl("get", "msnd,csinode,pods", "-A", "-o", "wide"));
});

test("a claim and a pod", async () => {
  const start = performance.now();
  await cluster.apply(
    storageClass("mirrored", { waitForConsumer: true }),
    claim("data", "mirrored"),
    pod("writer", "data", "while :; do date +%s >>/data/times; sync; sleep 1; done"),
  );
  await cluster.until("the pod runs", "pod/writer", "{.status.phase}", "Running", 120);
  report(`from a pod with a new claim to running: ${took(start)}`);
  console.log(await cluster.kubectl("get", "pod,pvc,msvol", "-o", "wide"));
});

test("the node program is replaced under the pod", async () => {
  await cluster.kubectl("--namespace=meshstor", "rollout", "restart", "daemonset/meshstor-node");
  for (let tries = 0; tries < 100; tries++) {
    const value = await cluster.kubectl("--namespace=meshstor", "get", "daemonset/meshstor-node", "--output=jsonpath={.status.updatedNumberScheduled} {.status.numberReady}");
    if (value === "2 2") break;
    await new Promise((r) => setTimeout(r, 2000));
  }
  assert.equal(await cluster.kubectl("get", "pod/writer", "--output=jsonpath={.status.phase} {.status.containerStatuses[0].restartCount}"), "Running 0");
  await cluster.kubectl("delete", "pod/writer", "pvc/data", "--wait=false");
  await cluster.gone("pod/writer", 120);
  for (let tries = 0; tries < 60; tries++) {
    if ((await cluster.kubectl("get", "msvol", "--output=name")).trim() === "") return;
    await new Promise((r) => setTimeout(r, 2000));
  }
  assert.fail(await cluster.kubectl("get", "msvol", "-o", "wide"));
});
