import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../kube/resources.ts";
import { OUT_OF_SERVICE, peersFrom } from "./peers.ts";

const node = (name: string, spec: Node["spec"] = {}): Node => ({ apiVersion: "v1", kind: "Node", metadata: { name, uid: `uid-${name}` }, spec });

test("nodes with their heartbeats; only the one taint counts as a person's word", () => {
  const nodes = [
    node("a"),
    node("b", { taints: [{ key: OUT_OF_SERVICE, value: "nodeshutdown", effect: "NoExecute" }] }),
    node("c", { unschedulable: true, taints: [{ key: "node.kubernetes.io/unreachable", effect: "NoExecute" }] }),
  ];
  const ages = new Map([
    ["node-a", 0],
    ["node-c", 61_000],
  ]);
  assert.deepEqual(
    [...peersFrom(nodes, (name) => ages.get(name) ?? null)],
    [
      ["a", { nodeUID: "uid-a", outOfService: false, silentMs: 0 }],
      ["b", { nodeUID: "uid-b", outOfService: true, silentMs: null }],
      ["c", { nodeUID: "uid-c", outOfService: false, silentMs: 61_000 }],
    ],
  );
});
