/** The controller role, over its socket, before a real API server and with no more rights than deploy/ gives it: `tools/node --test src/controller/controller.contract.test.ts`. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { ControlPlane } from "../../lab/control-plane/control-plane.ts";
import { freePort } from "../../lab/control-plane/free-port.ts";
import { applyYaml, ensureNode } from "../../lab/control-plane/objects.ts";
import { buildCrds } from "../api/crd.ts";
import { nodeLeaseName } from "../api/names.ts";
import { silentLogger } from "../base/log.ts";
import { GiB } from "../base/units.ts";
import { Controller, Identity, VolumeCapability_AccessMode_Mode as Mode } from "../csi/gen/csi_pb.ts";
import { codeOf, refusalOf, testClient, type TestClient } from "../csi/test-client.ts";
import { createKubeClient, type KubeClient } from "../kube/client.ts";
import { loadKubeConfig } from "../kube/config.ts";
import { LeaseRenewer } from "../kube/lease.ts";
import { DEVICES, VOLUMES } from "../kube/resources.ts";
import { emptyDevice, FakeNodes } from "./fake-nodes.ts";
import { runController, type RunControllerOptions } from "./run.ts";

const folder = mkdtempSync(join(tmpdir(), "meshstor-controller-"));
const socket = join(folder, "csi.sock");
const NODES = ["a", "b", "c"];
let plane: ControlPlane;
let kubeconfig: string;
let kube: KubeClient;
let csi: TestClient<typeof Controller>;
let nodes: FakeNodes;
let leases: LeaseRenewer[];
let stop: AbortController;
let running: Promise<void>;

async function until(what: string, holds: () => Promise<boolean>, ms = 60_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > end) throw new Error(`not within ${ms / 1000} s: ${what}`);
    await sleep(50);
  }
}
/** As kubelet does: one that could not reach the API for long leads no longer, ends, and is started again. */
async function runAgain(options: RunControllerOptions): Promise<void> {
  for (;;) {
    try {
      return await runController(options);
    } catch (error) {
      if (options.signal.aborted) return;
      console.log(`# the controller ended: ${String(error)}`);
    }
  }
}
function startController(): void {
  stop = new AbortController();
  running = runAgain({ kubeConfig: loadKubeConfig({ path: kubeconfig }), endpoint: `unix://${socket}`, elect: true, log: silentLogger, signal: stop.signal });
}
const request = (name: string, capacity = GiB, parameters: Record<string, string> = {}) => ({
  name,
  parameters,
  volumeCapabilities: [{ accessType: { case: "mount" as const, value: {} }, accessMode: { mode: Mode.SINGLE_NODE_WRITER } }],
  capacityRange: { requiredBytes: BigInt(capacity) },
});
const create = (name: string, capacity?: number, parameters?: Record<string, string>) =>
  csi.call("createVolume", request(name, capacity, parameters), { deadline: Date.now() + 60_000 });
/** Calls until it succeeds, as the provisioner does. */
const insist = (what: string, call: () => Promise<unknown>, ms?: number) => until(what, async () => (await codeOf(call())) === "OK", ms);

before(async () => {
  plane = await ControlPlane.start({ dir: join(folder, "plane"), addresses: ["127.0.0.1"], port: await freePort(), dieWithStarter: true });
  await applyYaml(plane, [...buildCrds(), { apiVersion: "v1", kind: "Namespace", metadata: { name: "meshstor" } }]);
  await applyYaml(plane, readFileSync(join(import.meta.dirname, "../../deploy/30-rbac-controller.yaml"), "utf8"));
  kubeconfig = await plane.kubeconfigFor("system:serviceaccount:meshstor:meshstor-controller");
  kube = createKubeClient(loadKubeConfig({ path: plane.kubeconfigPath }));
  leases = NODES.map((name) => new LeaseRenewer({ client: kube, name: nodeLeaseName(name), holder: "boot", log: silentLogger }));
  for (const [i, name] of NODES.entries()) {
    await ensureNode(plane, { name, addresses: [`10.0.0.${i + 1}`] });
    leases[i]!.start();
    for (const id of [`${name}1`, `${name}2`]) {
      const device = emptyDevice(name, { id });
      const made = await kube.create(DEVICES, device);
      await kube.replaceStatus(DEVICES, { ...made, status: device.status! });
    }
  }
  nodes = new FakeNodes(kube, 50);
  startController();
  csi = testClient(Controller, socket);
  await insist("the controller serves", () => csi.call("listVolumes", {}));
});
after(async () => {
  csi?.close();
  stop?.abort();
  await running;
  await nodes?.stop();
  await Promise.all((leases ?? []).map((lease) => lease.stop()));
  kube?.close();
  await plane?.remove();
  rmSync(folder, { recursive: true, force: true });
});

test("a volume is made, shown by kubectl as promised, found again, and deleted without a trace", async () => {
  const { volume } = await create("v1", GiB, { replicaCount: "3" });
  assert.deepEqual([volume?.volumeId, volume?.capacityBytes], ["v1", BigInt(GiB)]);
  await until("its summary is written", async () =>
    /^Synced +stopped/m.test((await plane.kubectl(["get", "msvol", "v1", "--no-headers", "-o", "custom-columns=P:.status.phase,M:.status.mdState"])).stdout),
  );
  const { stdout } = await plane.kubectl(["get", "msvol", "v1", "-o", 'jsonpath={range .status.partitions[*]}{.nodeID}{"\\t"}{.state}{"\\n"}{end}']);
  assert.deepEqual(stdout.trim().split("\n").toSorted(), ["a\tCreated", "b\tCreated", "c\tCreated"]);
  assert.deepEqual((await create("v1", GiB, { numberOfCopies: "3" })).volume, volume);
  assert.equal(await codeOf(create("v1", 2 * GiB, { numberOfCopies: "3" })), "ALREADY_EXISTS");
  await csi.call("deleteVolume", { volumeId: "v1" });
  await until("v1 is gone", async () => (await kube.tryGet(VOLUMES, "v1")) === null);
  const { items } = await kube.list(DEVICES);
  assert.deepEqual(new Set(items.map((device) => device.status?.freeBytes)), new Set([10 * GiB]));
});

test("refusals name every node and leave nothing", async () => {
  const refusal = await refusalOf(create("big", 11 * GiB));
  assert.equal(refusal.code, "RESOURCE_EXHAUSTED");
  for (const name of NODES) assert.match(refusal.details, new RegExp(`node ${name} has no suitable drive`));
  assert.equal(await codeOf(create("wide", GiB, { stripeWidth: "3" })), "RESOURCE_EXHAUSTED");
  assert.equal(await codeOf(create("many", GiB, { replicaCount: "4" })), "RESOURCE_EXHAUSTED");
  assert.deepEqual((await kube.list(VOLUMES)).items, []);
});

/** A busy machine places one or two a second: each placement is written before the next one looks. */
const MANY_MS = 300_000;

test("a hundred volumes created at once, every second one deleted meanwhile: the others are made, expanded and modified; nothing of the deleted ones is left", async () => {
  const names = Array.from({ length: 100 }, (_, i) => `h${i}`);
  const small = (name: string) => create(name, GiB / 2, { numberOfCopies: "1" });
  const isKept = (name: string) => Number(name.slice(1)) % 2 === 0;
  await Promise.all(
    names.map(async (name) => {
      if (isKept(name)) return insist(name, () => small(name), MANY_MS);
      // Given up while it is made, as by a claim that is deleted.
      let over = false;
      const made = codeOf(small(name)).finally(() => (over = true));
      await until(`${name} is there, or was not begun in time`, async () => over || (await kube.tryGet(VOLUMES, name)) !== null, MANY_MS);
      await insist(`${name} deleted`, () => csi.call("deleteVolume", { volumeId: name }), MANY_MS);
      await made;
      await insist(`${name} deleted for good`, () => csi.call("deleteVolume", { volumeId: name }), MANY_MS);
    }),
  );
  await until("the deleted ones are gone", async () => (await kube.list(VOLUMES)).items.every((v) => isKept(v.metadata.name)), MANY_MS);
  const { items } = await kube.list(VOLUMES);
  assert.deepEqual([items.length, items.flatMap((v) => v.status?.partitions ?? []).map((p) => p.state)], [50, Array.from({ length: 50 }, () => "Created")]);
  const { capacityBytes } = await csi.call("controllerExpandVolume", { volumeId: "h0", capacityRange: { requiredBytes: BigInt(GiB) } });
  await csi.call("controllerModifyVolume", { volumeId: "h0", mutableParameters: { memberMissingTimeout: "60" } });
  const { spec } = (await kube.tryGet(VOLUMES, "h0"))!;
  assert.deepEqual(
    [capacityBytes, spec.capacityBytes, spec.memberMissingTimeout, await codeOf(csi.call("controllerModifyVolume", { volumeId: "h0", mutableParameters: { colour: "red" } }))],
    [BigInt(GiB), GiB, 60, "INVALID_ARGUMENT"],
  );
  await Promise.all(items.map((v) => insist(`${v.metadata.name} deleted`, () => csi.call("deleteVolume", { volumeId: v.metadata.name }))));
  await until("all are gone", async () => (await kube.list(VOLUMES)).items.length === 0);
  const drives = (await kube.list(DEVICES)).items;
  assert.deepEqual(new Set(drives.map((device) => device.status?.freeBytes)), new Set([10 * GiB]));
});

test("volumes created at once while controller and API server are stopped and started: each is made once, then nothing is left", async () => {
  const names = Array.from({ length: 12 }, (_, i) => `w${i}`);
  const calls = names.map((name) => insist(name, () => create(name)));
  await sleep(300);
  stop.abort();
  await running;
  startController();
  await sleep(500);
  await plane.kill(["apiserver"]);
  await plane.start();
  await Promise.all(calls);
  const { items } = await kube.list(VOLUMES);
  assert.deepEqual(items.map((v) => v.metadata.name).toSorted(), names.toSorted());
  const used = items.flatMap((v) => v.status?.partitions ?? []);
  assert.deepEqual([used.length, new Set(used.map((p) => p.state))], [24, new Set(["Created"])]);
  await Promise.all(names.map((name) => insist(`${name} deleted`, () => csi.call("deleteVolume", { volumeId: name }))));
  await until("all are gone", async () => (await kube.list(VOLUMES)).items.length === 0);
});

test("of two controllers one serves; the other says that it is not ready, and serves as soon as the first one ends", async () => {
  const other = { socket: join(folder, "other.sock"), stop: new AbortController() };
  const options = { kubeConfig: loadKubeConfig({ path: kubeconfig }), endpoint: `unix://${other.socket}`, elect: true, log: silentLogger, signal: other.stop.signal };
  const standsBy = runAgain(options);
  const [second, identity] = [testClient(Controller, other.socket), testClient(Identity, other.socket)];
  await insist("the other controller answers", () => identity.call("probe", {}));
  await sleep(2_000);
  // What its sidecars wait for, for as long as it takes.
  assert.equal((await identity.call("probe", {})).ready, false);
  assert.equal((await refusalOf(second.call("listVolumes", {}))).code, "UNAVAILABLE");
  stop.abort();
  await running;
  await insist("the other controller serves", () => second.call("listVolumes", {}));
  assert.equal((await identity.call("probe", {})).ready, true);
  second.close();
  identity.close();
  other.stop.abort();
  await standsBy;
  startController();
});
