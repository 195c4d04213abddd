/**
 * Every node is drained, shut down and booted again, one after the other, each as soon as it is safe: pods write all the while and lose nothing. @minutes 45 @byname
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import type { DeployedCluster } from "../../lab/kubernetes/deployed-cluster.ts";
import { storageClass } from "../../lab/kubernetes/objects.ts";
import { eventually } from "../../lab/world/wait.ts";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { inOrder } from "../in-order.ts";
import { report } from "./report.ts";
import { allReady, bareCluster, deploy, took } from "./support/deployed.ts";
import { PodRecords, workloadMap, writers } from "./support/pod-records.ts";

const NODES = ["n1", "n2", "n3"];
const PODS = ["db-0", "db-1", "db-2"];
/** As said in docs/how-to/operate.md. */
const SAFE = "MeshStorSafeToReboot";
const test = inOrder();
let cluster: DeployedCluster;
let records: readonly PodRecords[] = [];

before(async () => {
  cluster = await bareCluster(NODES);
});
after(async () => {
  await Promise.all(records.map((each) => each.stop()));
  await cluster?.down();
});

/** What the node's condition says. */
function safe(node: string): Promise<string> {
  return cluster.kubectl("get", `node/${node}`, `--output=jsonpath={.status.conditions[?(@.type=="${SAFE}")].status}`);
}

/** Every copy of every volume is in sync. */
async function allInSync(): Promise<void> {
  await eventually("every copy is in sync", 240, async () => {
    const said = await cluster.kubectl(
      "get",
      "msvol",
      String.raw`--output=jsonpath={range .items[*]}{.status.conditions[?(@.type=="Redundant")].status} {.metadata.name}: {.status.message}{"\n"}{end}`,
    );
    const volumes = said.split("\n").filter((line) => line !== "");
    if (volumes.length === 0) return "there is no volume";
    return volumes.every((line) => line.startsWith("True ")) || volumes.join("; ");
  });
}

async function allRun(): Promise<void> {
  await eventually("every pod runs", 240, async () => {
    const phases = await cluster.kubectl("get", "pods", "--output=jsonpath={.items[*].status.phase}");
    return phases === "Running Running Running" || phases;
  });
}

test("three pods write, and no node that runs one is safe to reboot", async () => {
  await deploy(cluster);
  await cluster.apply(await workloadMap(cluster), storageClass("mirrored", { waitForConsumer: true }), writers("db", "mirrored", 3));
  records = PODS.map((name) => new PodRecords(cluster, name));
  await allRun();
  for (const each of records) await each.progress(20, 60);
  await allInSync();
  const homes = (await cluster.kubectl("get", "pods", "--output=jsonpath={.items[*].spec.nodeName}")).split(" ");
  for (const node of new Set(homes))
    await eventually(`${node} is not safe to reboot while a pod of it uses a volume`, 60, async () => (await safe(node)) === "False" || (await safe(node)));
});

for (const node of NODES) {
  test(`${node} is rebooted`, async () => {
    const start = performance.now();
    await cluster.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=110s");
    const drained = took(start);
    await eventually(
      `${node} is safe to reboot`,
      240,
      async () => (await safe(node)) === "True" || (await cluster.kubectl("get", `node/${node}`, `--output=jsonpath={.status.conditions[?(@.type=="${SAFE}")].message}`)),
    );
    const gated = took(start);
    const down = performance.now();
    await cluster.shutDown(node, 45);
    const off = took(down);
    // While it is away the copies that it shares with others are the last ones there: no other node is safe.
    const shared = await cluster.kubectl("get", "msvol", "--output=json");
    const others = (JSON.parse(shared) as { items: MeshStorVolume[] }).items.flatMap(({ status }) => {
      const nodes = (status?.partitions ?? []).map(({ nodeID }) => nodeID);
      return nodes.includes(node) ? nodes.filter((name) => name !== node) : [];
    });
    for (const other of new Set(others))
      await eventually(`${other} is not safe to reboot while ${node} is away`, 90, async () => (await safe(other)) === "False" || (await safe(other)));
    await cluster.powerOn(node);
    await cluster.kubectl("uncordon", node);
    await allReady(cluster);
    await allRun();
    await allInSync();
    await eventually(`${node} is safe to reboot again, or runs a pod again`, 60, async () => (await safe(node)) !== "Unknown" || "nothing is heard of it");
    report(`${node}: drained after ${drained}, safe after ${gated}, off ${off} after it was told to, all copies in sync again after ${took(start)}`);
    for (const each of records) await each.progress(20, 90);
    assert.deepEqual(
      await Promise.all(records.map(async (each) => ({ errors: each.errors, lost: await each.lost() }))),
      PODS.map(() => ({ errors: [], lost: [] })),
    );
  });
}
