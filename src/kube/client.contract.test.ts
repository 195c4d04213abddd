/** Client, informer, lease and events before a real API server that is killed, frozen and restarted: `tools/node --test src/kube/client.contract.test.ts`. */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ControlPlane } from "../../lab/control-plane/control-plane.ts";
import { freePort } from "../../lab/control-plane/free-port.ts";
import { applyYaml, ensureNode } from "../../lab/control-plane/objects.ts";
import { buildCrds } from "../api/crd.ts";
import { MeshStorError } from "../base/errors.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import { createKubeClient, KubeError, type KubeClient } from "./client.ts";
import { loadKubeConfig } from "./config.ts";
import { EventRecorder, referenceTo } from "./events.ts";
import { Informer } from "./informer.ts";
import { LeaseObserver, LeaseRenewer } from "./lease.ts";
import { LEASES, NODES, VOLUMES, type Lease } from "./resources.ts";
import { keepingLogger, until } from "./testing/fake-server.ts";
import { updateStatus, updateStatusResult, WriteInDoubt } from "./update.ts";

const folder = mkdtempSync(join(tmpdir(), "meshstor-client-"));
let plane: ControlPlane;
let client: KubeClient;
const volume = (name: string): MeshStorVolume => ({
  apiVersion: "csi.meshstor.io/v1alpha1",
  kind: "MeshStorVolume",
  metadata: { name },
  spec: { capacityBytes: 1024 ** 3, numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900, fsType: "xfs" },
});
/** An informer of volumes that remembers what it was told. */
function watching(options: { watchSeconds?: number; idleMs?: number } = {}) {
  const changes: string[] = [];
  const log = keepingLogger();
  const informer = new Informer({ client, type: VOLUMES, log, onChange: (name, object) => void changes.push(object ? name : `-${name}`), ...options });
  informer.start();
  return { informer, changes, log };
}

before(async () => {
  plane = await ControlPlane.start({ dir: join(folder, "plane"), addresses: ["::1", "127.0.0.1"], port: await freePort(), dieWithStarter: true });
  await applyYaml(plane, buildCrds());
  await applyYaml(plane, [{ apiVersion: "v1", kind: "Namespace", metadata: { name: "meshstor" } }]);
  client = createKubeClient(loadKubeConfig({ path: plane.kubeconfigPath }));
});
after(async () => {
  client?.close();
  await plane?.remove();
  rmSync(folder, { recursive: true, force: true });
});

describe("client", () => {
  test("TLS over IPv6, verified; a wrong CA is refused", async () => {
    assert.match(plane.url(), /\[::1\]/);
    await client.create(VOLUMES, volume("one"));
    assert.equal((await client.get(VOLUMES, "one")).spec.capacityBytes, 1024 ** 3);
    const config = loadKubeConfig({ path: plane.kubeconfigPath });
    const { ca: _ca, ...withoutCa } = config;
    await assert.rejects(
      createKubeClient(withoutCa).get(VOLUMES, "one"),
      (error) => error instanceof KubeError && error.isUnavailable && /self.signed|unable to verify|issuer/.test(error.message),
    );
  });

  test("client certificate and service account token", async () => {
    for (const user of ["meshstor:test", "system:serviceaccount:meshstor:test"]) {
      const other = createKubeClient(loadKubeConfig({ path: await plane.kubeconfigFor(user) }));
      await assert.rejects(other.get(VOLUMES, "one"), (error) => error instanceof KubeError && error.status === 403 && error.message.includes(user));
      other.close();
    }
  });

  test("a token that is refused is read anew", async () => {
    const good = loadKubeConfig({ path: plane.kubeconfigPath });
    const tokens = ["stale", good.token!()];
    const other = createKubeClient({ server: good.server, ca: () => good.ca!(), token: () => tokens[0]!, refresh: () => void tokens.shift() });
    assert.equal((await other.get(VOLUMES, "one")).metadata.name, "one");
    other.close();
  });

  test("compare-and-swap: of two, one wins; already-exists; preconditions of a removal", async () => {
    const read = await client.get(VOLUMES, "one");
    const outcomes = await Promise.allSettled([1, 2].map((copies) => client.replaceStatus(VOLUMES, { ...read, status: { copies } })));
    assert.deepEqual(outcomes.map((outcome) => outcome.status).sort(), ["fulfilled", "rejected"]);
    const refused = outcomes.find((outcome) => outcome.status === "rejected")!.reason as KubeError;
    assert.deepEqual([refused.isConflict, refused.ambiguous], [true, false]);
    await assert.rejects(client.create(VOLUMES, volume("one")), (error) => error instanceof KubeError && error.isAlreadyExists);
    await assert.rejects(client.remove(VOLUMES, "one", { uid: "another" }), (error) => error instanceof KubeError && error.isConflict);
    await assert.rejects(
      client.remove(VOLUMES, "one", { uid: read.metadata.uid, resourceVersion: read.metadata.resourceVersion }),
      (error) => error instanceof KubeError && error.isConflict,
    );
    assert.equal(await client.tryGet(VOLUMES, "none"), null);
  });

  test("merge patch, plain and as compare-and-swap", async () => {
    const { metadata } = await client.get(VOLUMES, "one");
    const patched = await client.mergePatch(VOLUMES, "one", { metadata: { annotations: { a: "b" } } });
    assert.deepEqual(patched.metadata.annotations, { a: "b" });
    await assert.rejects(
      client.mergePatch(VOLUMES, "one", { metadata: { resourceVersion: metadata.resourceVersion, annotations: { a: "c" } } }),
      (error) => error instanceof KubeError && error.isConflict,
    );
  });

  test("many writers raise a counter: nothing is lost", async () => {
    await client.create(VOLUMES, volume("counter"));
    const results = await Promise.all(
      Array.from({ length: 10 }, () => updateStatus(client, "counter", (fresh) => ({ ...fresh.status, epoch: (fresh.status?.epoch ?? 0) + 1 }), { attempts: 40 })),
    );
    assert.deepEqual(
      results.map((result) => result.status!.epoch).sort((a, b) => a! - b!),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    assert.equal((await client.get(VOLUMES, "counter")).status!.epoch, 10);
  });

  test("a list of more than a page", async () => {
    for (let batch = 0; batch < 13; batch += 1) await Promise.all(Array.from({ length: 40 }, (_, i) => client.create(VOLUMES, volume(`many-${batch}-${i}`))));
    const { items } = await client.list(VOLUMES);
    assert.equal(items.filter((item) => item.metadata.name.startsWith("many-")).length, 520);
    await Promise.all(items.filter((item) => item.metadata.name.startsWith("many-")).map((item) => client.remove(VOLUMES, item.metadata.name)));
  });

  test("a node", async () => {
    const uid = await ensureNode(plane, { name: "node-a", addresses: ["10.0.0.1", "fd00::1"], annotations: { "meshstor.io/nvme-over-tcp-address": "10.1.0.1" } });
    const [node] = (await client.list(NODES)).items;
    assert.deepEqual([node!.kind, node!.apiVersion, node!.metadata.uid, node!.metadata.annotations!["meshstor.io/nvme-over-tcp-address"]], ["Node", "v1", uid, "10.1.0.1"]);
    assert.deepEqual(
      node!.status!.addresses!.filter((each) => each.type === "InternalIP").map((each) => each.address),
      ["10.0.0.1", "fd00::1"],
    );
  });
});

describe("lease and events", () => {
  test("a lease is renewed, and observed by an informer", async () => {
    const observer = new LeaseObserver();
    const informer = new Informer<Lease>({ client, type: LEASES, namespace: "meshstor", log: keepingLogger(), onChange: (name, lease) => observer.observe(name, lease) });
    informer.start();
    await informer.synced;
    const renewer = new LeaseRenewer({ client, name: "node-a", holder: "boot-1", intervalMs: 200, log: keepingLogger() });
    renewer.start();
    await until("the lease", () => observer.ageMs("node-a") !== null);
    await new Promise((done) => setTimeout(done, 1000));
    assert.ok(observer.ageMs("node-a")! < 600, String(observer.ageMs("node-a")));
    await renewer.stop();
    await new Promise((done) => setTimeout(done, 700));
    assert.ok(observer.ageMs("node-a")! >= 600, String(observer.ageMs("node-a")));
    await informer.stop();
  });

  test("kubectl describe shows an event and its count", async () => {
    const log = keepingLogger();
    const recorder = new EventRecorder({ client, instance: "node-a", log });
    const about = referenceTo(await client.get(VOLUMES, "one"));
    for (let i = 0; i < 3; i += 1) recorder.tellError(about, "Stage", new MeshStorError("NoGoodCopy", "node-b holds the last good copy and is away"));
    await recorder.flush();
    assert.deepEqual(log.lines, []);
    const described = (await plane.kubectl(["describe", "msvol", "one"])).stdout;
    assert.match(described, /Warning\s+NoGoodCopy.*\(x3 over .*node-b holds the last good copy and is away\. Bring back/);
  });
});

describe("informer", () => {
  test("ends and begins of watches lose nothing; at rest it only watches", async () => {
    const { informer, changes, log } = watching({ watchSeconds: 2 });
    await informer.synced;
    for (let i = 0; i < 12; i += 1) {
      await client.create(VOLUMES, volume(`steady-${i}`));
      await client.remove(VOLUMES, `steady-${i}`);
      await new Promise((done) => setTimeout(done, 400));
    }
    await until("the last removal", () => changes.includes("-steady-11"));
    assert.deepEqual(
      changes.filter((name) => name.includes("steady")),
      Array.from({ length: 12 }, (_, i) => [`steady-${i}`, `-steady-${i}`]).flat(),
    );
    assert.deepEqual(log.lines, []);
    await informer.stop();
  });

  test("the API server is killed and started again", async () => {
    const { informer, changes } = watching();
    await informer.synced;
    await plane.kill(["apiserver"]);
    await assert.rejects(client.get(VOLUMES, "one"), (error) => error instanceof KubeError && error.isUnavailable);
    await plane.start();
    await client.create(VOLUMES, volume("after-restart"));
    await until("the volume made after the restart", () => changes.includes("after-restart"), 8000);
    await client.remove(VOLUMES, "after-restart");
    await until("its removal", () => changes.includes("-after-restart"), 8000);
    await informer.stop();
  });

  test("the API server freezes for a while: silence is noticed, then everything is caught up", async () => {
    const { informer, changes, log } = watching({ watchSeconds: 2, idleMs: 3000 });
    await informer.synced;
    plane.pause(["apiserver"]);
    const start = performance.now();
    await until("a complaint", () => log.lines.length > 0, 10_000);
    assert.ok(performance.now() - start < 6000);
    assert.ok(informer.ageMs() > 2000);
    plane.resume(["apiserver"]);
    await client.create(VOLUMES, volume("after-freeze"), { timeoutMs: 20_000 });
    await until("the volume made after the freeze", () => changes.includes("after-freeze"), 15_000);
    await informer.stop();
  });

  test("a status write to a frozen server is in doubt; when it has come to its senses the record tells", async () => {
    await client.create(VOLUMES, volume("doubt"));
    plane.pause(["apiserver"]);
    await assert.rejects(
      updateStatus(client, "doubt", () => ({ epoch: 1 }), { timeoutMs: 300 }),
      (error) => error instanceof KubeError && !(error instanceof WriteInDoubt),
      "the read already fails",
    );
    plane.resume(["apiserver"]);
    await client.get(VOLUMES, "doubt", { timeoutMs: 20_000 });
    let calls = 0;
    const frozenAfterRead = updateStatusResult(
      client,
      "doubt",
      () => {
        calls += 1;
        if (calls === 1) plane.pause(["apiserver"]);
        return { epoch: 1 };
      },
      { timeoutMs: 3000 },
    );
    await assert.rejects(frozenAfterRead, (error) => error instanceof WriteInDoubt && error.sent.epoch === 1);
    plane.resume(["apiserver"]);
    const { volume: settled, outcome } = await updateStatusResult(client, "doubt", (fresh) => (fresh.status?.epoch === 1 ? null : { epoch: 1 }), { timeoutMs: 20_000 });
    assert.deepEqual([settled.status, ["written", "unchanged"].includes(outcome)], [{ epoch: 1 }, true]);
  });

  test("an etcd restored from an older state: a new list, not a watch from the future", async () => {
    const { informer, changes } = watching();
    await informer.synced;
    await client.create(VOLUMES, volume("keeper"));
    const saved = await client.list(VOLUMES);
    await plane.kill();
    const backup = join(folder, "backup");
    const data = join(plane.dir, "etcd");
    cpSync(data, backup, { recursive: true });
    await plane.start();
    for (let i = 0; i < 30; i += 1) await client.create(VOLUMES, volume(`lost-${i}`));
    await until("the volumes to be lost", () => changes.includes("lost-29"), 15_000);
    await plane.kill();
    rmSync(data, { recursive: true });
    cpSync(backup, data, { recursive: true });
    await plane.start();
    await until("their disappearance", () => changes.includes("-lost-29"), 15_000);
    await client.create(VOLUMES, volume("after-restore"));
    await until("what is made after the restore", () => changes.includes("after-restore"), 15_000);
    assert.deepEqual(
      informer
        .list()
        .map((each) => each.metadata.name)
        .sort(),
      [...saved.items.map((each) => each.metadata.name), "after-restore"].sort(),
    );
    await informer.stop();
  });
});
