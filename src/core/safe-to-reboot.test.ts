import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { safeToReboot } from "./safe-to-reboot.ts";
import { mirror, NOW, ownerOf, part, partition, volume } from "./testing/builders.ts";

const ALL = new Set(["a", "b", "c"]);
const both: VolumeStatus = { mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] };
const alone: VolumeStatus = { mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state: "Missing" })] };
const usedBy = (node: string, status: VolumeStatus): VolumeStatus => ({ ...status, owner: ownerOf(node), epoch: 1 });
const former = (node: string) => [{ nodeName: node, nodeUID: "u", bootID: "b", epoch: 1, judged: "Silent" as const, waitMs: 0, at: NOW }];
const named = (name: string, status: VolumeStatus): MeshStorVolume => volume(status, {}, { name });
const judged = (status: VolumeStatus, alive: ReadonlySet<string> = ALL, node = "a") => {
  const { status: value, reason, message } = safeToReboot({ node, volumes: [named("v", status)], alive });
  return `${value} ${reason}: ${message}`;
};

const NOTHING = "True CopiesElsewhere: no volume is in use here, and every copy in sync here has another one on a node that answers";

test("nothing of it is needed: no volumes, volumes elsewhere, another copy in sync", () => {
  assert.deepEqual(safeToReboot({ node: "a", volumes: [], alive: ALL }), {
    status: "True",
    reason: "CopiesElsewhere",
    message: "no volume is in use here, and every copy in sync here has another one on a node that answers",
  });
  assert.deepEqual([judged(both), judged(usedBy("b", both)), judged(usedBy("c", both)), judged(usedBy("b", both), ALL, "c")], Array(4).fill(NOTHING));
});

test("nobody knows what a silent node has in use", () => {
  assert.equal(judged(both, new Set(["b"])), "Unknown NodeSilent: the node program of a has not renewed its Lease: it is waited for, it alone knows what is in use there");
});

test("in use, about to be, or not ended yet: the node is not drained", () => {
  assert.deepEqual(
    [
      judged(usedBy("a", both)),
      judged({ ...usedBy("b", both), handOver: { nodeName: "a", epoch: 1, at: NOW } }),
      judged({ ...usedBy("b", both), former: former("a") }),
      judged({ ...usedBy("b", both), former: former("c") }),
    ],
    [
      "False InUse: in use here: volume v; drain the node, kubelet then unstages what its pods had",
      "False HandOver: about to be used here: volume v; kubelet stages what a pod on this node waits for",
      "False FormerOwner: taken over by others: volume v; node a still ends what is left of it",
      NOTHING,
    ],
  );
});

test("back and not resynced, being made, being copied from", () => {
  const other = (state: "Missing" | "Syncing" | "Requested" | "Created" | "Faulty"): VolumeStatus => ({
    mirrors: [mirror(["b", "c"])],
    partitions: [partition("a", { state }), partition("b"), partition("c")],
  });
  const source: VolumeStatus = { mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b"), partition("c", { state: "Syncing" })] };
  const waits = "False CopyNotInSync: not in sync here: volume v; node b brings the copy up to date";
  assert.deepEqual(
    [
      ...(["Missing", "Syncing", "Created", "Faulty"] as const).map((state) => judged(usedBy("b", other(state)))),
      judged(other("Missing")),
      judged(other("Requested")),
      judged(usedBy("b", source)),
    ],
    [
      waits,
      waits,
      waits,
      NOTHING,
      NOTHING,
      "False CopyNotInSync: not in sync here: volume v; node a brings the copy up to date",
      "False CopyNeeded: another copy is being made from here: volume v; node b brings it up to date",
    ],
  );
});

test("the only copy in reach: not while the volume is in use, or while its other copies come back", () => {
  assert.deepEqual(
    [judged(usedBy("c", alone)), judged(usedBy("c", both), new Set(["a", "c"])), judged(usedBy("c", both), new Set(["a", "b"])), judged(both, new Set(["a"])), judged(alone)],
    [
      "False LastCopy: in use on node c without another copy in sync on a node that answers: volume v; another copy is waited for, or the end of its use",
      "False LastCopy: in use on node c without another copy in sync on a node that answers: volume v; another copy is waited for, or the end of its use",
      "False OwnerSilent: in use on node c, whose program is not heard of: volume v; its heartbeat is waited for",
      "False OtherCopySilent: other copies only on nodes that are not heard of (b): volume v; their heartbeats are waited for",
      "True OutOfReachMeanwhile: no volume is in use here; volume v with the only copy in sync here is out of reach meanwhile",
    ],
  );
});

test("each mirror of a striped volume for itself", () => {
  const striped = usedBy("c", {
    mirrors: [mirror(["a", "b"]), mirror(["a"], { index: 1 })],
    partitions: [partition("a"), partition("b"), partition("a", { mirror: 1 }), partition("b", { mirror: 1, state: "Missing" })],
  });
  assert.match(judged(striped), /^False LastCopy/);
  assert.match(judged({ ...striped, mirrors: [mirror(["a", "b"]), mirror(["a", "b"], { index: 1 })] }), /^True/);
});

test("a volume that is being deleted needs no copy; a copy on another node is not this one's", () => {
  const deleted = volume(alone, {}, { deletionTimestamp: NOW });
  assert.equal(safeToReboot({ node: "a", volumes: [deleted], alive: ALL }).reason, "CopiesElsewhere");
  assert.equal(judged(usedBy("c", alone), ALL, "b"), "False CopyNotInSync: not in sync here: volume v; node c brings the copy up to date");
});

test("many volumes: the gravest reason, one sentence each, a few names", () => {
  const volumes = [...["w", "z", "x", "y", "u"].map((name) => named(name, usedBy("a", both))), named("t", usedBy("c", alone)), named("s", alone)];
  assert.deepEqual(safeToReboot({ node: "a", volumes, alive: ALL }), {
    status: "False",
    reason: "InUse",
    message:
      "in use here: 5 volumes (u, w, x and 2 more); drain the node, kubelet then unstages what its pods had; in use on node c without another copy in sync on a node that answers: volume t; another copy is waited for, or the end of its use",
  });
});

const NODES = ["a", "b", "c"];
const STATES = ["Requested", "Created", "Syncing", "Synced", "Missing", "Replacing", "Faulty", "Deleting"] as const;
const drawn = fc.record({
  owner: fc.option(fc.constantFrom(...NODES)),
  states: fc.tuple(...NODES.map(() => fc.option(fc.constantFrom(...STATES)))),
  inSync: fc.subarray(NODES),
  alive: fc.subarray(NODES),
});

test("property: True takes nobody's volume away, and needs every mirror in use to live on elsewhere", () => {
  fc.assert(
    fc.property(fc.array(drawn, { maxLength: 4 }), (list) => {
      const alive = new Set(list[0]?.alive ?? NODES);
      const volumes = list.map(({ owner, states, inSync }, i) => {
        // What is in R has a partition.
        const partitions = NODES.flatMap((node, n) => (inSync.includes(node) ? [partition(node)] : states[n] ? [partition(node, { state: states[n] })] : []));
        const status = { mirrors: [mirror(inSync)], partitions };
        return named(`v${i}`, owner === null ? status : usedBy(owner, status));
      });
      for (const node of NODES) {
        const verdict = safeToReboot({ node, volumes, alive });
        if (verdict.status === "True")
          for (const { status } of volumes) {
            const recorded = NODES.filter((n) => status!.mirrors![0]!.inSync.includes(part(n)));
            const left = recorded.filter((n) => n !== node && alive.has(n));
            assert.ok(alive.has(node) && status!.owner?.nodeName !== node);
            if (status!.owner && recorded.includes(node)) assert.ok(left.length > 0 && alive.has(status!.owner.nodeName));
            if (recorded.includes(node) && recorded.length > 1) assert.ok(left.length > 0);
          }
        assert.notEqual(verdict.message, "");
      }
    }),
  );
});
