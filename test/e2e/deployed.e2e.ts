/**
 * Our own manifests deploy our own image: `kubectl apply -f deploy/` on real nodes, then a claim, a pod, an upgrade of the node program under it, and MeshStor is taken away again. @minutes 30 @byname
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before } from "node:test";
import type { DeployedCluster } from "../../lab/kubernetes/deployed-cluster.ts";
import { storageClass } from "../../lab/kubernetes/objects.ts";
import { eventually } from "../../lab/world/wait.ts";
import { inOrder } from "../in-order.ts";
import { report } from "./report.ts";
import { allReady, bareCluster, deploy, OURS, restarts, took } from "./support/deployed.ts";
import { PodRecords, workloadMap, writers } from "./support/pod-records.ts";
import { timeline } from "./support/timeline.ts";

const ROOT = resolve(import.meta.dirname, "../..");
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

/** The words of every `$ kubectl …` line of a page's steps, with its file names as of this tree. */
function commandsOf(page: string, ...steps: number[]): string[][] {
  const wanted = page.split(/^(?=\d+\. )/m).filter((step) => steps.includes(Number.parseInt(step)));
  return wanted.flatMap((step) =>
    [...step.matchAll(/^ +\$ kubectl (.+)$/gm)].map(([, line]) =>
      [...line!.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? (existsSync(join(ROOT, word!)) ? join(ROOT, word!) : word!)),
    ),
  );
}

/** What of MeshStor is left on a node. */
const TRACES = `
pgrep -af '^[@]meshstor' || true
ls -d /run/meshstor* /run/udev/rules.d/*meshstor* /sys/fs/cgroup/meshstor* /var/lib/kubelet/plugins/*meshstor* /var/lib/kubelet/plugins_registry/*meshstor* /dev/mapper/*meshstor* /dev/md* /sys/kernel/config/nvmet/subsystems/*meshstor* 2>/dev/null || true
`;

test("what docs/how-to/uninstall.md says takes MeshStor away without a trace", async () => {
  const start = performance.now();
  const page = readFileSync(join(ROOT, "docs/how-to/uninstall.md"), "utf8");
  for (const words of commandsOf(page, 3, 4)) await cluster.kubectl(...words);
  for (const words of commandsOf(page, 5)) {
    const names = words.includes("NAME") ? cluster.lab.names : ["every node"];
    for (const node of names) await cluster.kubectl(...words.map((word) => (word === "NAME" ? node : word)));
  }
  report(`uninstalled in ${took(start)}`);
  // The image stays with containerd, and the node says so.
  const kinds = "crd,clusterrole,clusterrolebinding,csidriver,priorityclass,validatingadmissionpolicy,validatingadmissionpolicybinding,namespace,node";
  const objects = (await cluster.kubectl("get", kinds, "--output=yaml")).split("\n").filter((line) => /meshstor/i.test(line) && !line.includes("/meshstor:"));
  const left = await Promise.all(cluster.lab.guests.map((guest) => guest.sh(TRACES)));
  assert.deepEqual({ objects, left }, { objects: [], left: cluster.lab.names.map(() => "") });
});
