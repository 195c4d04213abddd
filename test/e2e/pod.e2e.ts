/**
 * Pods with claims under real kubelets and containerd: what one pod wrote the next one reads, on the same node and on another; ten in a loop leave nothing behind. @minutes 30 @byname
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { traces } from "../../lab/world/inspect.ts";
import { Cluster } from "../../lab/kubernetes/cluster.ts";
import { claim, pod, storageClass } from "../../lab/kubernetes/objects.ts";
import { eventually } from "../../lab/world/wait.ts";
import { report } from "./report.ts";

let cluster: Cluster;
before(async () => {
  cluster = await Cluster.up();
  await cluster.apply(storageClass("mirrored", { waitForConsumer: true }), claim("data", "mirrored"));
});
after(() => cluster?.down());

const on = (node: string) => ({ nodeSelector: { "kubernetes.io/hostname": node } });

/** Creates a pod, waits until it runs (or has ended well), and says how long that took. */
async function run(name: string, node: string, script: string, phase: "Running" | "Succeeded"): Promise<number> {
  const start = performance.now();
  const policy = phase === "Succeeded" ? { restartPolicy: "Never" } : {};
  await cluster.apply(pod(name, "data", script, { ...on(node), ...policy }));
  await cluster.until(`pod ${name} is ${phase}`, `pod/${name}`, "{.status.phase}", phase, 180);
  return performance.now() - start;
}

async function remove(name: string): Promise<void> {
  await cluster.kubectl("delete", `pod/${name}`, "--wait=false");
  await cluster.gone(`pod/${name}`, 120);
}

test("a pod with a new claim runs and writes", async () => {
  const ms = await run("first", "n1", "while :; do date +%s >>/data/times; sync; sleep 1; done", "Running");
  report(`from a pod with a new claim to running: ${(ms / 1000).toFixed(1)} s`);
  const mount = await cluster.kubectl("exec", "first", "--", "grep", " /data ", "/proc/mounts");
  assert.match(mount, / \/data xfs rw/);
});

test("its data follow it to the other node", async () => {
  await remove("first");
  await run("second", "n2", "test -s /data/times; echo second >>/data/times; while :; do sleep 1; done", "Running");
  assert.match(await cluster.kubectl("exec", "second", "--", "tail", "-1", "/data/times"), /second/);
  await remove("second");
});

test("kubelet, restarted, finds its pod and volume again", async () => {
  await run("third", "n1", "while :; do date +%s >>/data/times; sync; sleep 1; done", "Running");
  await cluster.node("n1").stopKubelet();
  await cluster.node("n1").startKubelet();
  await cluster.node("n1").ready();
  await cluster.registered("n1");
  // For some seconds kubelet is ready and does not know its pods yet.
  await eventually(
    "kubelet knows its pod again, which reads its volume",
    60,
    async () => /^\d+$/.test((await cluster.kubectl("exec", "third", "--", "tail", "-1", "/data/times")).trim()) || "no time",
  );
  assert.equal(await cluster.kubectl("get", "pod/third", "--output=jsonpath={.status.containerStatuses[0].restartCount}"), "0");
});

test("a node that loses its power comes back with its pod", async () => {
  const start = performance.now();
  await cluster.powerOff("n1");
  await cluster.powerOn("n1");
  await cluster.until("the pod was started again", "pod/third", "{.status.containerStatuses[0].restartCount} {.status.phase}", "1 Running", 240);
  report(`from a node's power cut to its pod's second start: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  await cluster.kubectl("exec", "third", "--", "tail", "-1", "/data/times");
  await remove("third");
});

test("no volume was ever attached by the control plane", async () => {
  assert.equal(await cluster.kubectl("get", "volumeattachments", "--output=name"), "");
});

test("ten pods in a loop leave nothing behind", async () => {
  for (let count = 1; count <= 10; count++) {
    const name = `loop-${count}`;
    await run(name, count % 2 === 0 ? "n1" : "n2", `echo ${name} >>/data/loops; sync`, "Succeeded");
    await remove(name);
  }
  await run("reader", "n1", 'test "$(wc -l </data/loops)" = 10', "Succeeded");
  await remove("reader");
  const volume = await cluster.kubectl("get", "pvc/data", "--output=jsonpath={.spec.volumeName}");
  await cluster.kubectl("delete", "pvc/data", "--wait=false");
  await cluster.gone(`msvol/${volume}`, 180);
  for (const name of cluster.world.names) {
    const guest = cluster.world.lab.guest(name);
    assert.equal(
      await guest.sh("ls /var/lib/kubelet/pods | wc -l; ls /var/lib/kubelet/plugins/kubernetes.io/csi/*/ 2>/dev/null | wc -l"),
      "0\n0",
      `kubelet of ${name} keeps folders`,
    );
    assert.deepEqual(await traces(guest), [], `${name} keeps traces of the volume`);
  }
});
