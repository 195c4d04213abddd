import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshStorNodeDevice } from "../api/node-device.ts";
import { mirror, NOW, ownerOf, partition, volume } from "../core/testing/builders.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Node } from "../kube/resources.ts";
import { DEVICES, NODES } from "../kube/resources.ts";
import { nodesCommand, rowsOf } from "./nodes.ts";

const condition = { type: "MeshStorSafeToReboot", status: "False" as const, reason: "InUse", message: "in use here: volume pvc-1", lastTransitionTime: NOW };
const node = (name: string, spec: Node["spec"] = {}, conditions: NonNullable<Node["status"]>["conditions"] = []): Node => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name },
  spec,
  status: { conditions },
});
const nodes = [node("b", { unschedulable: true }, [condition]), node("a"), node("c")];
const device = (name: string) =>
  ({ apiVersion: "csi.meshstor.io/v1alpha1", kind: "MeshStorNodeDevice", metadata: { name }, spec: { use: "Auto" }, status: { nodeName: "a" } }) as MeshStorNodeDevice;
const devices = [device("a.1"), device("a.2")];
const volumes = [volume({ owner: ownerOf("b"), mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state: "Deleting" })] })];

test("nodes of ours: what is there, and what the controller says of a reboot", () => {
  const unknown = { status: "Unknown", reason: "NotJudged", message: "the controller has not said whether the node can be rebooted", since: "" };
  assert.deepEqual(rowsOf(nodes, devices, volumes), [
    { name: "a", drives: 2, copies: 1, inUse: [], cordoned: false, safeToReboot: unknown },
    { name: "b", drives: 0, copies: 0, inUse: ["pvc-1"], cordoned: true, safeToReboot: { status: "False", reason: "InUse", message: "in use here: volume pvc-1", since: NOW } },
  ]);
});

test("as a table", async () => {
  let out = "";
  const list = async (type: unknown) => ({ items: type === NODES ? nodes : type === DEVICES ? devices : volumes, resourceVersion: "1" });
  const client = { list } as unknown as KubeClient;
  await nodesCommand({ client, terminal: { out: (text) => void (out += text), err: () => {}, isTerminal: false, columns: 80, ask: async () => null }, now: () => 0 }, "text");
  assert.equal(
    out,
    `NODE   DRIVES   COPIES   IN USE   CORDONED   SAFE TO REBOOT   WHY
a      2        1        0        no         Unknown          the controller has not said whether the node can be rebooted
b      0        0        1        yes        False            in use here: volume pvc-1
`,
  );
});
