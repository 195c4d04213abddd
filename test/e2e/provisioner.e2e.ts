/**
 * Claims of real users with the real external-provisioner, external-resizer, controller-manager, scheduler and kubelets: bound, used, grown, deleted, kept. @minutes 20
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { VOLUME_TOPOLOGY_KEY } from "../../src/api/names.ts";
import { Cluster } from "../../lab/kubernetes/cluster.ts";
import { claim, pod, storageClass } from "../../lab/kubernetes/objects.ts";
import { report } from "./report.ts";

let cluster: Cluster;
before(async () => {
  cluster = await Cluster.up({ sidecars: ["csi-provisioner", "csi-resizer", "csi-attacher"] });
  await cluster.apply(storageClass("mirrored"), storageClass("late", { waitForConsumer: true }), storageClass("kept", { reclaimPolicy: "Retain" }));
});
after(() => cluster?.down());

const volumeOf = (name: string) => cluster.kubectl("get", `pvc/${name}`, "--output=jsonpath={.spec.volumeName}");
const copiesOf = async (volume: string) => ((await cluster.world.volume(volume))?.status?.partitions ?? []).map(({ nodeID }) => nodeID).sort();

test("every node registered the driver, with the key that the scheduler places by", async () => {
  const found = await Promise.all(
    cluster.world.names.map((name) => cluster.kubectl("get", "csinode", name, "--output=jsonpath={.spec.drivers[0].nodeID} {.spec.drivers[0].topologyKeys[*]}")),
  );
  assert.deepEqual(
    found,
    cluster.world.names.map((name) => `${name} ${VOLUME_TOPOLOGY_KEY}`),
  );
});

test("an immediate claim is bound to a volume that can go anywhere, and is gone when it is deleted", async () => {
  const start = performance.now();
  await cluster.apply(claim("first", "mirrored"));
  await cluster.until("the claim is bound", "pvc/first", "{.status.phase}", "Bound");
  report(`from a claim to its volume: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  const volume = await volumeOf("first");
  assert.equal(await cluster.kubectl("get", `pv/${volume}`, "--output=jsonpath={.spec.nodeAffinity}"), "", "the volume has no node affinity");
  assert.deepEqual(await copiesOf(volume), ["n1", "n2"]);
  await cluster.kubectl("delete", "pvc/first", "--wait=false");
  for (const object of ["pvc/first", `pv/${volume}`, `msvol/${volume}`]) await cluster.gone(object, 120);
});

test("a claim that waits is bound where the scheduler puts its pod", async () => {
  await cluster.apply(claim("waiting", "late"));
  await cluster.apply(pod("consumer", "waiting", "while :; do sleep 1; done", { nodeSelector: { "kubernetes.io/hostname": "n2" } }));
  await cluster.until("the claim is bound", "pvc/waiting", "{.status.phase}", "Bound", 120);
  const annotation = String.raw`{.metadata.annotations.volume\.kubernetes\.io/selected-node}`;
  assert.equal(await cluster.kubectl("get", "pvc/waiting", `--output=jsonpath=${annotation}`), "n2");
  assert.deepEqual(await copiesOf(await volumeOf("waiting")), ["n1", "n2"]);
  await cluster.until("its pod runs", "pod/consumer", "{.status.phase}", "Running", 120);
});

test("the attacher, though it runs, has nothing to do", async () => {
  assert.deepEqual([cluster.program("csi-attacher").running(), await cluster.kubectl("get", "volumeattachments", "--output=name")], [true, ""]);
});

test("a claim that is raised is raised under its pod", async () => {
  await cluster.kubectl("patch", "pvc/waiting", "--type=merge", "--patch", JSON.stringify({ spec: { resources: { requests: { storage: "768Mi" } } } }));
  await cluster.until("the claim has its new size", "pvc/waiting", "{.status.capacity.storage}", "768Mi", 120);
  const blocks = Number(await cluster.kubectl("exec", "consumer", "--", "sh", "-c", "df -kP /data | awk 'END { print $2 }'"));
  assert.ok(blocks > 650 * 1024, `the filesystem in the pod has ${blocks} KiB`);
});

test("pod and claim are deleted together, and nothing is left", async () => {
  const volume = await volumeOf("waiting");
  await cluster.kubectl("delete", "pod/consumer", "pvc/waiting", "--wait=false");
  for (const object of ["pod/consumer", "pvc/waiting", `pv/${volume}`, `msvol/${volume}`]) await cluster.gone(object, 180);
});

test("a retained volume outlives its claim", async () => {
  await cluster.apply(claim("precious", "kept"));
  await cluster.until("the claim is bound", "pvc/precious", "{.status.phase}", "Bound");
  const volume = await volumeOf("precious");
  await cluster.kubectl("delete", "pvc/precious", "--wait=false");
  await cluster.until("the volume is released", `pv/${volume}`, "{.status.phase}", "Released");
  assert.notEqual(await cluster.world.volume(volume), null);
});

test("the scheduler is told how much room every node has", async () => {
  const rows = await cluster.kubectl("get", "csistoragecapacities", "--all-namespaces", '--output=jsonpath={range .items[*]}{.storageClassName} {.capacity}{"\\n"}{end}');
  assert.match(rows, /^late \d+/m);
});
