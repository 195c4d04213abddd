import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeColumns, type Listed } from "./node-columns.ts";

const volume = {
  kind: "MeshStorVolume",
  metadata: { name: "v1" },
  status: {
    owner: { nodeName: "n1" },
    partitions: [
      { nodeID: "n1", state: "Synced" },
      { nodeID: "n2", state: "Missing" },
      { nodeID: "n1", state: "Synced" },
    ],
  },
};

test("a node that runs, one whose heartbeat is old, one that never came", () => {
  const objects = [
    volume,
    { kind: "MeshStorNodeDevice", metadata: { name: "n1-a" }, status: { nodeName: "n1" } },
    { kind: "Lease", metadata: { name: "node-n1" }, spec: { renewTime: "2026-01-01T00:00:07.000000Z" } },
    { kind: "Lease", metadata: { name: "node-n2" }, spec: { renewTime: "2025-12-31T23:58:10.000000Z" } },
  ] as unknown as Listed[];
  assert.deepEqual(Object.fromEntries(nodeColumns(["n1", "n2", "n3"], objects, Date.parse("2026-01-01T00:00:10Z"))), {
    n1: { meshstor: "seen 3 s ago", msnd: "1", partitions: "2 Synced", owns: "v1" },
    n2: { meshstor: "seen 120 s ago", msnd: "0", partitions: "1 Missing", owns: "-" },
    n3: { meshstor: "never seen", msnd: "0", partitions: "-", owns: "-" },
  });
});
