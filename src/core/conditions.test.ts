import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshStorVolume, VolumeStatus } from "../api/volume.ts";
import { flowOf, readiness, redundancy, withConditions } from "./conditions.ts";
import type { HostSnapshot, VolumeDevice } from "./observed.ts";
import { arrayUUID, emptyHost, identity, mirror, NOW, ownerOf, part, partition, VOLUME_UID, volume } from "./testing/builders.ts";
import { viewVolume } from "./view.ts";

const LATER = "2026-11-20T12:00:00Z";
const both: VolumeStatus = { mirrors: [mirror(["a", "b"])], partitions: [partition("a"), partition("b")], copies: 2 };
const one: VolumeStatus = { mirrors: [mirror(["a"])], partitions: [partition("a"), partition("b", { state: "Missing" })], copies: 1 };
const owned = { owner: ownerOf("a"), epoch: 1, mdState: "active" };

test("Ready and Redundant, by the record and by what becomes of the volume's I/O", () => {
  const told = (status: VolumeStatus, flow: "Flows" | "Suspended" | "Held" = "Flows", metadata: Partial<MeshStorVolume["metadata"]> = {}) => {
    const v = volume(status, {}, metadata);
    return [readiness(v, flow), redundancy(v)].map((x) => `${x.status} ${x.reason}`).join(", ");
  };
  const partitions = [partition("a", { state: "Created" }), partition("b", { state: "Requested" })];
  assert.deepEqual(
    [
      told({}),
      told({ partitions }),
      told({ partitions: [partition("a", { state: "Created" }), partition("b", { state: "Created" })], copies: 2 }),
      told(both),
      told({ ...both, ...owned }),
      told({ ...both, ...owned, mdState: "stopped" }),
      told({ ...one, ...owned }),
      told({ ...one, ...owned }, "Held"),
      told({ ...one, ...owned }, "Suspended"),
      told({ ...one, partitions: [partition("a"), partition("b", { state: "Syncing" })] }),
      told({ ...one, partitions: [partition("a"), partition("b", { state: "Faulty" })] }),
      told({ ...one, partitions: [partition("a")] }),
      told(both, "Flows", { deletionTimestamp: NOW }),
    ],
    [
      "False Unplaced, False Unplaced",
      "False BeingMade, False BeingMade",
      "True AtRest, True InSync",
      "True AtRest, True InSync",
      "True InUse, True InSync",
      "False Starting, True InSync",
      "True InUse, False CopyMissing",
      "False Held, False CopyMissing",
      "False Suspended, False CopyMissing",
      "True AtRest, False CopySyncing",
      "True AtRest, False CopyFaulty",
      "True AtRest, False CopyWanted",
      "False Deleting, False Deleting",
    ],
  );
});

test("written once: the time moves only with the status, the sentence follows, what is not ours stays", () => {
  const foreign = { type: "Tested", status: "True" as const, reason: "Other", message: "", lastTransitionTime: NOW };
  const first = withConditions(volume({}), { ...both, ...owned, conditions: [foreign] }, NOW);
  const sentence = "all 2 copies are in sync; nothing is waited for";
  const healthy = [
    { type: "Ready", status: "True", reason: "InUse", message: sentence, lastTransitionTime: NOW },
    { type: "Redundant", status: "True", reason: "InSync", message: sentence, lastTransitionTime: NOW },
    foreign,
  ];
  assert.deepEqual(first.conditions, healthy);
  assert.equal(withConditions(volume({}), first, LATER), first);
  const degraded = withConditions(volume({}), { ...first, ...one, message: "b is away" }, LATER);
  assert.deepEqual(degraded.conditions, [
    { ...healthy[0], message: "b is away" },
    { type: "Redundant", status: "False", reason: "CopyMissing", message: "b is away", lastTransitionTime: LATER },
    foreign,
  ]);
});

test("held: a mirror of which no member of R answers; suspended: by the device itself", () => {
  const windows = ["a", "b"].map((node) => ({
    device: `dm-${node}`,
    name: "",
    partitionUUID: part(node),
    epoch: 1,
    below: "x",
    sizeBytes: 1,
    suspended: false,
    inflight: 0,
    completed: 0,
  }));
  const members = ["a", "b"].map((node, slot) => ({ device: `dm-${node}`, partitionUUID: part(node), flags: ["in_sync"], slot }));
  const array = {
    ...{ device: "md0", arrayUUID: arrayUUID(), arrayState: "active", raidDisks: 2, degraded: 0, syncAction: "idle", syncCompleted: null },
    ...{ syncSpeedKiB: 0, hasBitmap: true, sizeBytes: 1, holders: [], members },
  };
  const flow = (change: Partial<HostSnapshot>, status: VolumeStatus) =>
    flowOf(viewVolume(volume({ ...status, owner: ownerOf("c"), epoch: 1 }), { ...emptyHost("c"), windows, mirrors: [array], ...change }, identity("c")));
  const live = { controller: "nvme0", nqn: "", address: "", port: 4420, state: "live", epoch: 1, attach: 1 };
  const connections = [{ ...live, partitionUUID: part("a"), device: "x" }] as unknown as HostSnapshot["connections"];
  const device: VolumeDevice = { device: "dm-9", name: "", volumeUID: VOLUME_UID, sizeBytes: 1, below: [], suspended: true, suspending: false, failed: false, guarded: null };
  assert.deepEqual(
    [flow({}, both), flow({ connections }, both), flow({ mirrors: [] }, both), flow({ connections, volumeDevices: [device] }, both)],
    ["Held", "Flows", "Flows", "Suspended"],
  );
});
