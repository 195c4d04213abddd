/**
 * deploy/ before a real API server: installed as the documentation says, and the node program's identity held to its node.
 * Tokens are those of pods made from the manifests' own templates.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";

import { ControlPlane } from "../../lab/control-plane/control-plane.ts";
import { freePort } from "../../lab/control-plane/free-port.ts";
import { writeKubeconfig } from "../../lab/control-plane/kubeconfig.ts";
import { ensureNode } from "../../lab/control-plane/objects.ts";
import { writeRecord } from "../../src/agent/apply-record.ts";
import { readIdentity } from "../../src/agent/identity.ts";
import { API_GROUP, API_VERSION, EMPTY_ANNOTATION, NAMESPACE, nodeLeaseName, SAFE_TO_REBOOT } from "../../src/api/names.ts";
import type { MeshStorNodeDevice } from "../../src/api/node-device.ts";
import type { MeshStorVolume, VolumeStatus } from "../../src/api/volume.ts";
import { silentLogger } from "../../src/base/log.ts";
import { GiB } from "../../src/base/units.ts";
import type { RecordAction } from "../../src/core/action.ts";
import { createKubeClient, type KubeClient, KubeError } from "../../src/kube/client.ts";
import { loadKubeConfig } from "../../src/kube/config.ts";
import { EventRecorder, referenceTo } from "../../src/kube/events.ts";
import { LeaseRenewer } from "../../src/kube/lease.ts";
import { DEVICES, EVENTS, KUBELET_LEASES, LEASES, NODES, PODS, VOLUMES } from "../../src/kube/resources.ts";
import { updateStatus } from "../../src/kube/update.ts";
import { emptyDevice } from "../../src/controller/fake-nodes.ts";
import { DEPLOY, EXAMPLES, type ManifestObject, manifests, nameOf, objectsOf } from "./manifests.ts";

const folder = mkdtempSync(join(tmpdir(), "meshstor-deploy-"));
const MEMBERS = { n1: "11111111-1111-4111-8111-111111111111", n2: "22222222-2222-4222-8222-222222222222", n3: "33333333-3333-4333-8333-333333333333" };
let plane: ControlPlane;
let admin: KubeClient;
const clients: KubeClient[] = [];

type NodeName = keyof typeof MEMBERS;
interface Template {
  metadata: { labels: Record<string, string> };
  spec: object;
}

function clientWith(name: string, token: string): KubeClient {
  const path = join(folder, `${name}.kubeconfig`);
  writeKubeconfig(path, plane.url(), join(plane.dir, "keys", "ca.crt"), { token });
  const client = createKubeClient(loadKubeConfig({ path }));
  clients.push(client);
  return client;
}

/** A pod of the workload's own template on a node, as its controller and the scheduler would make it. */
async function podOf(workload: string, name: string, nodeName: string): Promise<void> {
  const found = manifests().find((object) => nameOf(object) === workload)!;
  const { metadata, spec } = (found as unknown as { spec: { template: Template } }).spec.template;
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: NAMESPACE, labels: metadata.labels }, spec: { ...spec, nodeName } };
  await plane.kubectl(["create", "-f", "-"], { stdin: stringify(pod) });
}

async function clientOf(account: string, pod: string): Promise<KubeClient> {
  const { stdout } = await plane.kubectl(["create", "token", account, `--namespace=${NAMESPACE}`, "--bound-object-kind=Pod", `--bound-object-name=${pod}`]);
  return clientWith(pod, stdout.trim());
}

async function nodeClient(name: NodeName): Promise<KubeClient> {
  await podOf("DaemonSet/meshstor/meshstor-node", `meshstor-node-${name}`, name);
  return clientOf("meshstor-node", `meshstor-node-${name}`);
}

before(async () => {
  plane = await ControlPlane.start({ dir: join(folder, "plane"), addresses: ["127.0.0.1"], port: await freePort(), dieWithStarter: true });
  admin = createKubeClient(loadKubeConfig({ path: plane.kubeconfigPath }));
});
after(async () => {
  for (const client of [...clients, admin]) client?.close();
  await plane?.remove();
  rmSync(folder, { recursive: true, force: true });
});

test("kubectl apply -f deploy/ installs all of it, in one go, without a warning; again, and with -k, it changes nothing", async () => {
  const names = manifests().map(({ kind, metadata, apiVersion }) => {
    const group = apiVersion.includes("/") ? `.${apiVersion.split("/")[0]}` : "";
    return `${kind.toLowerCase()}${group}/${metadata.name}`;
  });
  const { stdout, stderr } = await plane.kubectl(["apply", "-f", DEPLOY]);
  assert.deepEqual({ lines: stdout.trim().split("\n").toSorted(), stderr }, { lines: names.map((name) => `${name} created`).toSorted(), stderr: "" });
  assert.equal((await plane.kubectl(["diff", "-f", DEPLOY])).stdout, "");
  assert.equal((await plane.kubectl(["diff", "-k", DEPLOY])).stdout, "");
  assert.deepEqual(
    objectsOf((await plane.kubectl(["kustomize", DEPLOY])).stdout)
      .map(nameOf)
      .toSorted(),
    manifests().map(nameOf).toSorted(),
  );
});

test("the API server says nothing against a strict look, and knows every field of the CSIDriver", async () => {
  await plane.kubectl(["apply", "--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server", "-f", DEPLOY]);
  const { stdout } = await plane.kubectl(["get", "csidriver", "io.meshstor.csi.mesh", "-o", "json"]);
  const { spec } = JSON.parse(stdout) as { spec: object };
  assert.deepEqual(spec, {
    attachRequired: false,
    fsGroupPolicy: "File",
    podInfoOnMount: false,
    requiresRepublish: false,
    seLinuxMount: true,
    storageCapacity: true,
    volumeLifecycleModes: ["Persistent"],
  });
});

test("the examples are accepted as they stand", async () => {
  // Its usual maker, the controller manager, does not run here.
  await plane.kubectl(["create", "serviceaccount", "default", "--namespace=default"]);
  await plane.kubectl(["apply", "--validate=strict", "--dry-run=server", "-f", EXAMPLES]);
  await plane.kubectl(["apply", "--validate=strict", "--dry-run=server", "-k", join(EXAMPLES, "overlay")]);
  const { stdout } = await plane.kubectl(["kustomize", join(EXAMPLES, "overlay")]);
  const meant = JSON.stringify(manifests()).replaceAll('"meshstor:0.1.0"', '"registry.example.com/meshstor:0.1.0"').replaceAll('"/var/lib/kubelet"', '"/var/lib/k0s/kubelet"');
  const node = (objects: ManifestObject[]) => {
    const { spec } = (objects.find(({ kind }) => kind === "DaemonSet") as unknown as { spec: { template: Template } }).spec.template;
    return { ...spec, nodeSelector: null };
  };
  assert.deepEqual(node(objectsOf(stdout)), node(JSON.parse(meant) as ManifestObject[]));
});

/** A volume with copies on n1 and n2, made as the controller makes it. */
async function makeVolume(client: KubeClient, name: string): Promise<MeshStorVolume> {
  const volume: MeshStorVolume = {
    apiVersion: `${API_GROUP}/${API_VERSION}`,
    kind: "MeshStorVolume",
    metadata: { name },
    spec: { capacityBytes: GiB, numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900, fsType: "xfs" },
  };
  await client.create(VOLUMES, volume);
  const partitions = (["n1", "n2"] as const).map((node) => ({
    partitionUUID: MEMBERS[node],
    nodeID: node,
    drive: `${node}:1`,
    mirror: 0,
    state: "Requested" as const,
    sizeBytes: GiB,
    updatedAt: "2026-01-01T00:00:00Z",
  }));
  return updateStatus(client, name, () => ({ phase: "Requested", partitions }));
}

/** A record action, as the node program writes it. */
async function record(client: KubeClient, node: NodeName, volume: MeshStorVolume, action: RecordAction): Promise<MeshStorVolume> {
  const { address, port, ...me } = await readIdentity(client, node, `boot-${node}`);
  const now = await client.get(VOLUMES, volume.metadata.name);
  const context = { me, epoch: now.status?.epoch ?? 0, promiseMs: 1_000, address, port, now: "2026-01-01T00:00:01Z", ids: [MEMBERS.n3, MEMBERS.n3] };
  return writeRecord(client, volume.metadata.name, volume.metadata.uid!, action, context);
}

/** The server's refusal of a request, in one line. */
async function refusal(request: Promise<unknown>): Promise<string> {
  try {
    await request;
  } catch (error) {
    if (error instanceof KubeError) return `${error.status} ${error.message}`;
    throw error;
  }
  return "not refused";
}

test("a node does what is its own, and nothing else", async () => {
  for (const [i, name] of Object.keys(MEMBERS).entries()) await ensureNode(plane, { name, addresses: [`10.0.0.${i + 1}`] });
  await podOf("StatefulSet/meshstor/meshstor-controller", "meshstor-controller-0", "n1");
  const controller = await clientOf("meshstor-controller", "meshstor-controller-0");
  const [n1, n2, n3] = [await nodeClient("n1"), await nodeClient("n2"), await nodeClient("n3")];
  const volume = await makeVolume(controller, "v");
  const { name } = volume.metadata;
  const device = (node: string): MeshStorNodeDevice => ({ ...emptyDevice(node, { id: "S1:1" }), metadata: { name: `${node}.s1`, labels: { "meshstor.io/node": node } } });

  // Policies take effect a moment after they are made.
  const until = performance.now() + 60_000;
  while (!(await refusal(n1.create(DEVICES, device("n2")))).includes("its own drives")) {
    await admin.remove(DEVICES, "n2.s1").catch(() => {});
    assert.ok(performance.now() < until, "the policies take effect within a minute");
    await sleep(200);
  }

  // What the program does on every node.
  await new LeaseRenewer({ client: n1, name: nodeLeaseName("n1"), holder: "boot-n1", log: silentLogger }).renew();
  await new LeaseRenewer({ client: n1, name: nodeLeaseName("n1"), holder: "boot-n1", log: silentLogger }).renew();
  await Promise.all([n1.list(NODES), n1.list(VOLUMES), n1.list(DEVICES), n1.list(LEASES, { namespace: NAMESPACE }), n1.list(PODS, { fieldSelector: "spec.nodeName=n1" })]);
  assert.equal(await n1.tryGet(LEASES, "n1", { namespace: KUBELET_LEASES }), null);
  const mine = await n1.create(DEVICES, device("n1"));
  await n1.replaceStatus(DEVICES, { ...mine, status: emptyDevice("n1", { id: "S1:1" }).status! });
  const warnings: string[] = [];
  const log = { info: () => {}, warn: (message: string, fields?: object) => void warnings.push(`${message} ${JSON.stringify(fields)}`) };
  const events = new EventRecorder({ client: n1, instance: "n1", log });
  events.tell({ regarding: referenceTo(volume), type: "Normal", reason: "Resumed", action: "Resume", note: "a word" });
  await events.flush(10_000);
  assert.deepEqual(warnings, []);

  // The first use of a volume: made, moved to the pod's node before the first claim, claimed, exported, lost, given up.
  for (const [client, node] of [
    [n1, "n1"],
    [n2, "n2"],
  ] as const)
    await record(client, node, volume, { kind: "RecordCreated", partitionUUID: MEMBERS[node] });
  const others = () => refusal(updateStatus(n3, name, ({ status }) => ({ ...status, partitions: status!.partitions!.map((p) => ({ ...p, state: "Faulty" as const })) })));
  assert.match(await others(), /only its owner changes what is recorded of other nodes' partitions/);
  await record(n3, "n3", volume, { kind: "RecordRequestLocal", partitions: [{ mirror: 0, drive: "n3:1", sizeBytes: GiB }], insteadOf: "n2" });
  await record(n3, "n3", volume, { kind: "RecordCreated", partitionUUID: MEMBERS.n3 });
  await record(n3, "n3", volume, { kind: "RecordClaim", from: null });
  await record(n1, "n1", volume, { kind: "RecordExport", partitionUUID: MEMBERS.n1, epoch: 1, attach: 1 });
  await record(n1, "n1", volume, { kind: "RecordHandOver" });
  await record(n3, "n3", volume, { kind: "RecordMirrorCreated", mirror: 0 });
  await record(n3, "n3", volume, { kind: "RecordOut", members: [{ partitionUUID: MEMBERS.n1, mirror: 0, attach: 1 }], reason: "lost" });
  const owned = await admin.get(VOLUMES, name);
  assert.deepEqual([owned.status?.owner?.nodeName, owned.status?.mirrors?.[0]?.inSync], ["n3", [MEMBERS.n3]]);

  // What n1, which is not the owner, may not change.
  const asN1 = (change: (status: VolumeStatus) => VolumeStatus) => refusal(updateStatus(n1, name, (each) => change(each.status!), { attempts: 1 }));
  assert.match(
    await asN1((s) => ({ ...s, mirrors: s.mirrors!.map((m) => ({ ...m, generation: 9, inSync: [MEMBERS.n1] })) })),
    /only its owner changes a volume's epoch, mirrors and filesystem/,
  );
  assert.match(await asN1((s) => ({ ...s, epoch: 7 })), /only its owner changes a volume's epoch/);
  assert.match(await asN1((s) => ({ ...s, partitions: s.partitions!.filter((p) => p.nodeID !== "n3") })), /other nodes' partitions/);
  assert.match(await asN1((s) => ({ ...s, owner: { ...s.owner!, nodeName: "n2" }, epoch: 2 })), /makes only itself the owner/);
  assert.match(await asN1((s) => ({ ...s, owner: { ...s.owner!, nodeName: "n1" }, epoch: 2 })), /records the former owner/);
  assert.match(await asN1(({ owner: _owner, ...s }) => s), /ends only its own ownership/);
  assert.match(await asN1((s) => ({ ...s, handOver: { nodeName: "n2", epoch: 1, at: "2026-01-01T00:00:01Z" } })), /asks for a volume for itself/);
  assert.match(await asN1((s) => ({ ...s, leavingNodes: ["n3"] })), /not a node's to write/);
  assert.match(await refusal(updateStatus(n3, name, ({ status }) => ({ ...status, placementMessage: "x" }), { attempts: 1 })), /not a node's to write/);

  // A takeover, which names the former owner; that one confirms, and owns nothing any more.
  const { nodeName, nodeUID, bootID } = owned.status!.owner!;
  const former = [{ nodeName, nodeUID, bootID, epoch: 1, judged: "Silent" as const, waitMs: 1_000, at: "2026-01-01T00:00:02Z" }];
  const me = await readIdentity(n1, "n1", "boot-n1");
  const taken = { nodeName: me.nodeName, nodeUID: me.nodeUID, bootID: me.bootID, since: "2026-01-01T00:00:02Z", start: "Unclean" as const };
  assert.equal(await asN1(({ handOver: _handOver, ...s }) => ({ ...s, owner: taken, epoch: 2, nodeName: "n1", former })), "not refused");
  await record(n3, "n3", volume, { kind: "RecordTornDown", nodeUID, judged: null });
  assert.equal((await admin.get(VOLUMES, name)).status?.former, undefined);
  assert.match(await refusal(updateStatus(n3, name, ({ status }) => ({ ...status, filesystem: { uuid: MEMBERS.n3 } }), { attempts: 1 })), /only its owner changes/);
  await record(n1, "n1", volume, { kind: "RecordRelease", clean: false });

  // What no node may do at all.
  const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: nodeLeaseName("n2"), namespace: NAMESPACE }, spec: { holderIdentity: "x" } } as const;
  assert.match(await refusal(n1.create(LEASES, lease)), /renews only its own heartbeat/);
  const theirs = await n2.create(DEVICES, device("n2"));
  assert.match(await refusal(n1.replaceStatus(DEVICES, { ...theirs, status: emptyDevice("n1", { id: "S1:1" }).status! })), /its own drives|another node/);
  assert.match(
    await refusal(n1.create(DEVICES, { ...device("n1"), metadata: { name: "n1.s2", labels: { "meshstor.io/node": "n1" } }, spec: { use: "Initialize" } })),
    /decided by people/,
  );
  const event = (await admin.list(EVENTS)).items.find((each) => each.reportingInstance === "n1")!;
  assert.match(
    await refusal(n2.mergePatch(EVENTS, event.metadata.name, { series: { count: 9, lastObservedTime: "2026-01-01T00:00:02.000000Z" } }, { namespace: "default" })),
    /in its own name/,
  );
  const denied = [
    n1.remove(VOLUMES, name),
    n1.mergePatch(VOLUMES, name, { spec: { numberOfCopies: 1 } }),
    n1.remove(DEVICES, "n1.s1"),
    n1.mergePatch(NODES, "n1", { spec: { unschedulable: true } }),
  ];
  for (const sentence of await Promise.all(denied.map(refusal))) assert.match(sentence, /: 403 .* cannot (delete|patch) resource/);

  // The largest volume there can be: the policy must stay within what the server spends on it.
  const many = Array.from({ length: 256 }, (_, i) => {
    const id = `${String(i).padStart(8, "0")}-1111-4111-8111-111111111111`;
    return {
      partitionUUID: id,
      nodeID: i < 16 ? "n1" : `m${i % 15}`,
      drive: `d${i}:1`,
      mirror: i % 16,
      state: "Requested" as const,
      sizeBytes: GiB,
      updatedAt: "2026-01-01T00:00:00Z",
    };
  });
  await makeVolume(controller, "large");
  const large = await updateStatus(controller, "large", () => ({ partitions: many }));
  await record(n1, "n1", large, { kind: "RecordCreated", partitionUUID: many[3]!.partitionUUID });
  await record(n3, "n3", large, { kind: "RecordRequestLocal", partitions: [{ mirror: 0, drive: "n3:1", sizeBytes: GiB }], insteadOf: "n1" });

  // A token that belongs to no pod says nothing of a node.
  const { stdout } = await plane.kubectl(["create", "token", "meshstor-node", `--namespace=${NAMESPACE}`]);
  const nobody = clientWith("nobody", stdout.trim());
  assert.match(await refusal(updateStatus(nobody, name, ({ status }) => ({ ...status, message: "x" }), { attempts: 1 })), /does not say on which node/);
});

test("of a node's status the controller writes one condition, and nothing else; what it is told of stays free to others", async () => {
  const controller = await clientOf("meshstor-controller", "meshstor-controller-0");
  const safe = (status: "True" | "False") => ({
    type: SAFE_TO_REBOOT,
    status,
    reason: "InUse",
    message: "m",
    lastHeartbeatTime: "2026-01-01T00:00:00Z",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  });
  const others = async () => (await admin.get(NODES, "n1")).status!.conditions!.filter((c) => c.type !== SAFE_TO_REBOOT);
  const disk = { type: "DiskPressure", status: "False", reason: "a", message: "b", lastHeartbeatTime: "2026-01-01T00:00:00Z", lastTransitionTime: "2026-01-01T00:00:00Z" };
  await admin.patchStatus(NODES, "n1", { conditions: [disk] });
  const before = await others();
  const until = performance.now() + 60_000;
  while ((await refusal(controller.patchStatus(NODES, "n1", { conditions: [{ ...disk, reason: "x" }] }))) === "not refused") {
    await admin.patchStatus(NODES, "n1", { conditions: [disk] });
    assert.ok(performance.now() < until, "the policies take effect within a minute");
    await sleep(200);
  }
  for (const status of ["True", "False"] as const) {
    const written = await controller.patchStatus(NODES, "n1", { conditions: [safe(status)] });
    assert.deepEqual(
      written.status!.conditions!.filter((c) => c.type === SAFE_TO_REBOOT),
      [safe(status)],
    );
  }
  assert.deepEqual(await others(), before);
  const only = /only the condition MeshStorSafeToReboot is the controller's to write/;
  for (const conditions of [[{ ...disk, status: "True" }], [{ ...disk, type: "Other" }], [{ type: "DiskPressure", $patch: "delete" }], [safe("True"), { ...disk, message: "x" }]])
    assert.match(await refusal(controller.patchStatus(NODES, "n1", { conditions })), only);
  const nothing = /changes nothing of a node but one condition/;
  for (const status of [{ addresses: [{ type: "Hostname", address: "x" }] }, { capacity: { cpu: "1" } }, { nodeInfo: { bootID: "x" } }, { phase: "Running" }])
    assert.match(await refusal(controller.patchStatus(NODES, "n1", status)), nothing);
  for (const metadata of [{ labels: { a: "b" } }, { annotations: { [EMPTY_ANNOTATION]: "true" } }, { finalizers: ["a.b/c"] }])
    assert.match(await refusal(controller.mergePatch(NODES, "n1", { metadata }, { subresource: "status" })), nothing);
  assert.match(await refusal(controller.mergePatch(NODES, "n1", { spec: { unschedulable: true } })), /: 403 .* cannot patch resource/);
  const whole = await admin.get(NODES, "n1");
  assert.match(await refusal(controller.replaceStatus(NODES, whole)), /: 403 .* cannot update resource/);
  assert.equal(await refusal(admin.patchStatus(NODES, "n1", { conditions: [{ type: SAFE_TO_REBOOT, $patch: "delete" }] })), "not refused");
});

test("a careless kubectl delete -f deploy/ leaves the records; who says so first can delete them", async () => {
  const remove = () => plane.kubectl(["delete", "--wait=false", "--ignore-not-found", "-f", DEPLOY], { mayFail: true });
  const refused = await remove();
  assert.notEqual(refused.code, 0);
  assert.equal(refused.stderr.match(/would delete the record of every volume/g)?.length, 2);
  assert.equal((await admin.get(VOLUMES, "v")).metadata.deletionTimestamp, undefined);
  await plane.kubectl(["apply", "-f", join(DEPLOY, "40-admission.yaml")]);
  await plane.kubectl(["annotate", "crd", "meshstorvolumes.csi.meshstor.io", "meshstornodedevices.csi.meshstor.io", "meshstor.io/delete-records=yes"]);
  assert.deepEqual([(await remove()).code, (await plane.kubectl(["get", "crd", "-o", "name"])).stdout.includes("deletionTimestamp")], [0, false]);
});
