import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { silentLogger } from "../base/log.ts";
import { mirror, ownerOf, partition, volume } from "../core/testing/builders.ts";
import { KubeError } from "../kube/client.ts";
import { type Node, NODES } from "../kube/resources.ts";
import { FakeKube } from "./fake-kube.ts";
import { conditionOf, SafeToReboot } from "./safe-to-reboot.ts";

const START = "2026-11-20T10:00:00Z";
const READY = { type: "Ready", status: "True" as const, reason: "KubeletReady" };
const both: VolumeStatus = { mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] };

/** Nodes a and b with node programs and c without; what the controller's cache shows can be changed. */
function world() {
  const kube = new FakeKube();
  const seen = { volumes: [] as MeshStorVolume[], ready: new Set(["a", "b"]), stale: false, aheadMs: 0, writes: 0 };
  for (const name of ["a", "b", "c"]) kube.seed<Node>(NODES, { apiVersion: "v1", kind: "Node", metadata: { name, uid: `u-${name}` }, spec: {}, status: { conditions: [READY] } });
  kube.before = (verb) => void (seen.writes += verb === "patchStatus" ? 1 : 0);
  const cache = {
    volume: () => undefined,
    volumes: () => seen.volumes,
    devices: () => [],
    nodes: () => ["a", "b"].map((name) => ({ name, ready: seen.ready.has(name), cordoned: false, topology: {} })),
    nodeNames: () => new Set(["a", "b", "c"]),
    isStale: () => seen.stale,
  };
  const clock = { nowMs: () => seen.aheadMs, wallMs: () => Date.parse(START) + seen.aheadMs };
  const nodes = () => ["a", "b", "c"].map((name) => kube.peek(NODES, name)!);
  return { kube, seen, nodes, loop: new SafeToReboot({ client: kube, log: silentLogger, clock, cache, nodes, everyMs: 5 }) };
}
const reasons = (nodes: Node[]): (string | undefined)[] => nodes.map((node) => conditionOf(node)?.reason);
async function eventually(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !holds(); i += 1) await sleep(10);
  assert.ok(holds(), "not within 10 s");
}

test("written beside the conditions of others, of nodes that run our program, and only when something changes", async () => {
  const { seen, nodes, loop } = world();
  loop.start();
  await eventually(() => reasons(nodes()).join() === "CopiesElsewhere,CopiesElsewhere,");
  const message = "no volume is in use here, and every copy in sync here has another one on a node that answers";
  const condition = { type: "MeshStorSafeToReboot", status: "True", reason: "CopiesElsewhere", message, lastHeartbeatTime: START, lastTransitionTime: START };
  assert.deepEqual(
    nodes().map((node) => node.status?.conditions),
    [[READY, condition], [READY, condition], [READY]],
  );
  await sleep(100);
  assert.equal(seen.writes, 2);

  seen.aheadMs = 60_000;
  seen.volumes = [volume({ ...both, owner: ownerOf("a"), epoch: 1 })];
  await eventually(() => reasons(nodes()).join() === "InUse,CopiesElsewhere,");
  assert.deepEqual(conditionOf(nodes()[0]!)?.lastTransitionTime, "2026-11-20T10:01:00Z");
  seen.ready = new Set(["b"]);
  await eventually(() => reasons(nodes()).join() === "NodeSilent,OwnerSilent,");
  await sleep(100);
  assert.equal(seen.writes, 5);
  await loop.stop();
});

test("nothing is judged by what is known from before; a write that fails is tried again", async () => {
  const { kube, seen, nodes, loop } = world();
  seen.stale = true;
  loop.start();
  await sleep(50);
  assert.deepEqual(reasons(nodes()), [undefined, undefined, undefined]);
  let failures = 3;
  kube.before = (verb) => {
    if (verb === "patchStatus" && (failures -= 1) >= 0) throw new KubeError({ status: 503, reason: "ServiceUnavailable", message: "busy" });
  };
  seen.stale = false;
  await eventually(() => reasons(nodes()).join() === "CopiesElsewhere,CopiesElsewhere,");
  await loop.stop();
});
