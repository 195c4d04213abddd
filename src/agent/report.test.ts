import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import type { HostSnapshot, Mirror, VolumeDevice } from "../core/observed.ts";
import { arrayUUID, emptyHost, identity, mirror, none, NOW, ownerOf, part, partition, VOLUME_UID, volume } from "../core/testing/builders.ts";
import { viewVolume } from "../core/view.ts";
import type { KubeClient } from "../kube/client.ts";
import type { EventToTell } from "../kube/events.ts";
import type { PassResult, VolumeReconciler } from "./reconcile.ts";
import { EMPTY_PLAN } from "./reconcile.ts";
import { Reporter } from "./report.ts";

/** a owns the volume; its kernel has the array with these members in sync. */
function hostOf(nodes: string[], suspended = false): HostSnapshot {
  const windows = nodes.map((node) => ({
    device: `dm-${node}`,
    name: "",
    partitionUUID: part(node),
    epoch: 1,
    below: node === "a" ? "nvme0n1p1" : "x",
    sizeBytes: 1,
    suspended: false,
    inflight: 0,
    completed: 0,
  }));
  const array: Mirror = {
    ...{ device: "md0", arrayUUID: arrayUUID(), arrayState: "active", raidDisks: 2, degraded: 0, syncAction: "idle", syncCompleted: null },
    ...{ syncSpeedKiB: 0, hasBitmap: true, sizeBytes: 1, holders: [] },
    members: nodes.map((node, slot) => ({ device: `dm-${node}`, partitionUUID: part(node), flags: ["in_sync"], slot })),
  };
  const device: VolumeDevice = { device: "dm-9", name: "", volumeUID: VOLUME_UID, sizeBytes: 1, below: [], suspended, suspending: false, failed: false, guarded: null };
  const local = { uuid: part("a"), device: "nvme0n1p1" } as HostSnapshot["partitions"][number];
  return { ...emptyHost("a"), partitions: [local], windows, mirrors: [array], volumeDevices: [device] };
}

/** A reporter against one volume in memory; what it wrote and told. */
function reporting(status: VolumeStatus) {
  let stored: MeshStorVolume = volume(status, {}, { resourceVersion: "1" });
  const told: string[] = [];
  let writes = 0;
  const client = {
    get: async () => structuredClone(stored),
    replaceStatus: async (_type: unknown, object: MeshStorVolume) => {
      writes += 1;
      stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(writes + 1) } };
      return structuredClone(stored);
    },
  } as unknown as KubeClient;
  const events = {
    tell: (e: EventToTell) => void told.push(`${e.reason}: ${e.note}`),
    tellError: (_regarding: unknown, action: string, error: MeshStorError) => void told.push(`${action} ${error.code}: ${error.message}`),
    flush: async () => {},
  };
  const reporter = new Reporter({ client, me: identity("a"), clock: { nowMs: () => 0, isoNow: () => NOW }, events });
  const look = (host: HostSnapshot, change: Partial<PassResult> = {}) =>
    reporter.report({ name: "pvc-1" } as VolumeReconciler, { intent: none, view: viewVolume(stored, host, identity("a")), plan: EMPTY_PLAN, error: null, ...change });
  return { reporter, look, told, stored: () => stored, writes: () => writes };
}
const owned: VolumeStatus = { epoch: 1, owner: ownerOf("a"), mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state: "Missing" })] };

test("summary, conditions and message in one write, with one sentence; the same again is not written", async () => {
  const { look, stored, writes } = reporting(owned);
  await look(hostOf(["a"]));
  await look(hostOf(["a"]));
  const { status } = stored();
  assert.deepEqual([writes(), status?.mdState], [1, "degraded"]);
  assert.deepEqual(
    status?.conditions?.map((c) => [c.type, c.status, c.reason, c.message]),
    [
      ["Ready", "True", "InUse", status?.message],
      ["Redundant", "False", "CopyMissing", status?.message],
    ],
  );
});

test("what a tool said comes after what is waited for; another error says it itself", async () => {
  const { look, stored } = reporting(owned);
  const degraded = "degraded: the copy on node b is missing; it is brought up to date when the node is back";
  await look(hostOf(["a"]), { error: new MeshStorError("CommandFailed", "'nvme connect' failed with exit code 1") });
  assert.equal(stored().status?.message, `${degraded} (tried again: 'nvme connect' failed with exit code 1)`);
  await look(hostOf(["a"]), { error: new MeshStorError("Unsafe", "it could not be proven") });
  assert.equal(stored().status?.message, "it could not be proven");
  await look(hostOf(["a"]));
  assert.equal(stored().status?.message, degraded);
});

test("I/O that stands still is said once, and once that it flows again", async () => {
  const { look, told, stored } = reporting(owned);
  const waits = { plan: { ...EMPTY_PLAN, waits: ["the volume is suspended until node b answers, or its member is recorded out (I10)"] } };
  await look(hostOf(["a"]));
  for (let i = 0; i < 3; i += 1) await look(hostOf(["a"], true), waits);
  assert.deepEqual(stored().status?.conditions?.[0], { type: "Ready", status: "False", reason: "Suspended", message: waits.plan.waits[0], lastTransitionTime: NOW });
  await look(hostOf(["a"]));
  assert.deepEqual(told, [`Suspended: ${waits.plan.waits[0]}`, "Resumed: node a lets the volume's I/O through again"]);
});

test("a refused start is told where a person must know; others write nothing of a volume that is not theirs", async () => {
  const { look, told, writes } = reporting({ ...owned, owner: ownerOf("b") });
  await look(emptyHost("a"), { plan: { ...EMPTY_PLAN, refusal: { code: "NoGoodCopy", message: "the last good copy is on node b" } } });
  await look(emptyHost("a"), { plan: { ...EMPTY_PLAN, refusal: { code: "VolumeInUse", message: "in use" } } });
  assert.deepEqual([told, writes()], [["Stage NoGoodCopy: the last good copy is on node b"], 0]);
});

test("what this node wrote into the record is said", () => {
  const { reporter, told } = reporting(owned);
  const both = { ...owned, mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")] };
  reporter.recorded("RecordOut", volume(both), volume(owned));
  assert.deepEqual(told, ["CopyLost: the copy on node b is recorded out and the volume goes on with 1 of 2 copies; it is brought up to date when it is back"]);
});
