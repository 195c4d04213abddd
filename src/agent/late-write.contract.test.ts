/**
 * A write that lands after its sender died, beside a loss, before a real API server (Z2, experiment 7 of docs/explanation/experiments.md):
 * `tools/node --test src/agent/late-write.contract.test.ts`.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ControlPlane } from "../../lab/control-plane/control-plane.ts";
import { freePort } from "../../lab/control-plane/free-port.ts";
import { applyYaml } from "../../lab/control-plane/objects.ts";
import { buildCrds } from "../api/crd.ts";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { applyRecord } from "../core/record.ts";
import { context, mirror, ownerOf, part, partition } from "../core/testing/builders.ts";
import { createKubeClient, KubeError, type KubeClient } from "../kube/client.ts";
import { loadKubeConfig } from "../kube/config.ts";
import { VOLUMES } from "../kube/resources.ts";
import { until } from "../kube/testing/fake-server.ts";
import { updateStatus } from "../kube/update.ts";
import { writeRecord } from "./apply-record.ts";

const folder = mkdtempSync(join(tmpdir(), "meshstor-late-"));
let plane: ControlPlane;
let client: KubeClient;
const networks: SlowNetwork[] = [];

before(async () => {
  plane = await ControlPlane.start({ dir: join(folder, "plane"), addresses: ["127.0.0.1"], port: await freePort(), dieWithStarter: true });
  await applyYaml(plane, buildCrds());
  client = createKubeClient(loadKubeConfig({ path: plane.kubeconfigPath }));
});
after(async () => {
  for (const network of networks) network.close();
  client?.close();
  await plane?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A network that keeps what was sent, also after its sender has gone, and delivers it later. */
class SlowNetwork {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  #kept: { to: Socket; bytes: Buffer }[] | null = null;
  /** Bytes that the API server answered since the delivery. */
  answered = 0;

  constructor(to: URL) {
    this.#server = createServer({ allowHalfOpen: true }, (sender) => {
      const api = connect({ host: to.hostname, port: Number(to.port), allowHalfOpen: true });
      sender.on("data", (bytes) => (this.#kept === null ? api.write(bytes) : this.#kept.push({ to: api, bytes })));
      api.on("data", (bytes) => {
        this.answered += bytes.length;
        if (!sender.destroyed) sender.write(bytes);
      });
      for (const socket of [sender, api]) socket.on("error", () => {});
      this.#sockets.push(sender, api);
    });
  }
  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as { port: number }).port;
  }
  keep(): void {
    this.#kept = [];
  }
  get keeps(): number {
    return (this.#kept ?? []).reduce((sum, { bytes }) => sum + bytes.length, 0);
  }
  deliver(): void {
    this.answered = 0;
    const kept = this.#kept ?? [];
    this.#kept = null;
    for (const { to, bytes } of kept) to.write(bytes);
  }
  /** Everything goes, so that nothing keeps the test's process alive. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

const R = (v: MeshStorVolume): readonly string[] => v.status!.mirrors![0]!.inSync;
const a = part("a");
const b = part("b");

/** Owner a with R = {a}; b is back and in sync, and the write that adds it is on its way when its sender dies. */
async function lateAdding(name: string): Promise<{ network: SlowNetwork; before: MeshStorVolume }> {
  const made: MeshStorVolume = {
    apiVersion: "csi.meshstor.io/v1alpha1",
    kind: "MeshStorVolume",
    metadata: { name },
    spec: { capacityBytes: 1024 ** 3, numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900, fsType: "xfs" },
  };
  await client.create(VOLUMES, made);
  const status: VolumeStatus = { epoch: 3, owner: ownerOf("a"), mirrors: [mirror(["a"], { generation: 4 })], partitions: [partition("a"), partition("b", { state: "Syncing" })] };
  const start = await updateStatus(client, name, () => status);
  const config = loadKubeConfig({ path: plane.kubeconfigPath });
  const network = new SlowNetwork(new URL(config.server));
  networks.push(network);
  const sender = createKubeClient({ ...config, server: `https://127.0.0.1:${await network.listen()}` });
  const adding = updateStatus(
    sender,
    name,
    (volume) => {
      network.keep();
      const result = applyRecord({ kind: "RecordIn", members: [{ partitionUUID: b, mirror: 0 }] }, volume, context("a", 3));
      assert.ok(result.ok);
      return result.status;
    },
    { attempts: 1, timeoutMs: 1_000 },
  );
  await assert.rejects(adding, (error) => error instanceof KubeError && error.ambiguous);
  sender.close();
  assert.ok(network.keeps > 0, "engaged: the write is on its way");
  const now = await client.get(VOLUMES, name);
  assert.deepEqual([R(now), now.metadata.resourceVersion], [[a], start.metadata.resourceVersion], "it has not landed");
  return { network, before: now };
}

async function delivered(network: SlowNetwork): Promise<void> {
  network.deliver();
  await until("the API server's answer to the late write", () => network.answered > 0, 10_000);
}

test("a write without a change does not move the resource version: a late write that adds a member lands", async (t) => {
  const { network, before: seen } = await lateAdding("unchanged");
  const same = await client.replaceStatus(VOLUMES, seen);
  assert.equal(same.metadata.resourceVersion, seen.metadata.resourceVersion, "nothing was written");
  await delivered(network);
  const after = await client.get(VOLUMES, "unchanged");
  t.diagnostic(`resource version ${same.metadata.resourceVersion} before and after the write without a change; the late write then landed: R = ${R(after).length} members`);
  assert.deepEqual(R(after), [a, b]);
});

test("a loss raises the generation, also of a member that is not in R: the late write is refused (Z2)", async () => {
  const { network, before: seen } = await lateAdding("raised");
  const out = await writeRecord(
    client,
    "raised",
    seen.metadata.uid!,
    { kind: "RecordOut", members: [{ partitionUUID: b, mirror: 0, attach: null }], reason: "lost" },
    context("a", 3),
  );
  assert.notEqual(out.metadata.resourceVersion, seen.metadata.resourceVersion);
  await delivered(network);
  const after = await client.get(VOLUMES, "raised");
  assert.deepEqual([R(after), after.status!.mirrors![0]!.generation, after.metadata.resourceVersion], [[a], 5, out.metadata.resourceVersion]);
});
