import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { VolumeParameters } from "../api/parameters.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import { FINALIZER } from "../api/names.ts";
import { type ErrorCode, MeshStorError } from "../base/errors.ts";
import { PARTITION_OVERHEAD } from "../base/layout.ts";
import { GiB, MiB } from "../base/units.ts";
import type { ControllerPort, CreateRequest } from "../csi/controller-port.ts";
import { KubeError } from "../kube/client.ts";
import { VOLUMES } from "../kube/resources.ts";
import { updateStatus } from "../kube/update.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { newVolume, PROVISIONING } from "./provisioning.ts";
import { ABANDONED_MS } from "./reconcile.ts";

const drives = (node: string, count = 2, sizeBytes = 10 * GiB) => Array.from({ length: count }, (_, i) => ({ id: `${node}${i + 1}`, sizeBytes }));
const three = () => new FakeCluster({ a: drives("a"), b: drives("b"), c: drives("c") });

function request(name: string, change: Partial<Omit<CreateRequest, "parameters">> & { parameters?: Partial<VolumeParameters> } = {}): CreateRequest {
  const capacityBytes = change.capacityBytes ?? GiB;
  const parameters = { numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900, ...change.parameters };
  return {
    requestedName: name,
    volumeID: name,
    volumeMode: "Filesystem",
    fsType: "xfs",
    capacityBytes,
    atLeast: capacityBytes,
    atMost: capacityBytes,
    preferredNodes: [],
    favouredNodes: [],
    ...change,
    parameters,
  };
}
const soon = () => AbortSignal.timeout(30_000);
/** A creation whose caller loses patience once it has seen that the volume is placed. */
async function impatient(cluster: FakeCluster, port: ControllerPort, wish: CreateRequest): Promise<MeshStorError> {
  const end = new AbortController();
  const call = port.create(wish, end.signal).then(
    () => assert.fail("it was made"),
    (error: MeshStorError) => error,
  );
  await eventually(`${wish.volumeID} is placed`, () => placesOf(cluster.volume(wish.volumeID)).length > 0);
  await sleep(20);
  end.abort(new MeshStorError("Waiting", "the call did not end in time"));
  return call;
}
async function codeOf(call: Promise<unknown>): Promise<ErrorCode | "ok"> {
  return call.then(
    () => "ok" as const,
    (error: MeshStorError) => error.code,
  );
}
async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within 30 s: ${what}`);
    await sleep(5);
  }
}
const OWNER = { nodeName: "b", nodeUID: "u", bootID: "x", since: "2026-11-20T10:00:00Z", start: "First" as const };
/** Runs a story against a cluster and stops everything at its end. */
function story(name: string, cluster: () => FakeCluster, body: (cluster: FakeCluster) => Promise<void>): void {
  test(name, async () => {
    const made = cluster();
    try {
      await body(made);
    } finally {
      await made.stop();
    }
  });
}
const placesOf = (volume: MeshStorVolume | undefined) => (volume?.status?.partitions ?? []).map((p) => `${p.nodeID}/${p.drive}/m${p.mirror}/${p.state}`);
const gone = (cluster: FakeCluster, name: string) => eventually(`volume ${name} is gone`, () => cluster.volume(name) === undefined);

story("a volume is placed, made, waited for, and told of once", three, async (cluster) => {
  const { port } = await cluster.controller();
  const summary = await port.create(request("v1"), soon());
  assert.deepEqual([summary.volumeID, summary.capacityBytes, summary.abnormal, summary.message], ["v1", GiB, false, "all copies are in sync"]);
  const volume = cluster.volume("v1")!;
  assert.deepEqual(volume.spec, { capacityBytes: GiB, numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900, sectorSize: 512, fsType: "xfs" });
  assert.deepEqual([volume.metadata.finalizers, volume.metadata.annotations?.[PROVISIONING]], [[FINALIZER], "Done"]);
  const partitions = volume.status!.partitions!;
  assert.equal(new Set(partitions.map((p) => p.nodeID)).size, 2);
  assert.deepEqual(
    partitions.map((p) => [p.mirror, p.state, p.sizeBytes]),
    [
      [0, "Created", GiB + PARTITION_OVERHEAD],
      [0, "Created", GiB + PARTITION_OVERHEAD],
    ],
  );
  assert.equal(new Set(partitions.map((p) => p.partitionUUID)).size, 2);
  await eventually("the summary says Synced", () => cluster.volume("v1")?.status?.phase === "Synced");
});

story("striped copies: one member of every mirror, all on one node, on distinct drives", three, async (cluster) => {
  const { port } = await cluster.controller();
  await port.create(request("v1", { parameters: { drivesPerCopy: 2 }, capacityBytes: GiB + MiB }), soon());
  const byNode = Map.groupBy(cluster.volume("v1")!.status!.partitions!, (p) => p.nodeID);
  assert.equal(byNode.size, 2);
  for (const copy of byNode.values()) {
    assert.deepEqual(copy.map((p) => p.mirror).toSorted(), [0, 1]);
    assert.equal(new Set(copy.map((p) => p.drive)).size, 2);
    assert.deepEqual(new Set(copy.map((p) => p.sizeBytes)), new Set([513 * MiB + PARTITION_OVERHEAD]));
  }
});

story("the same request again, also at the same time, gives the same volume; other wishes do not", three, async (cluster) => {
  const { port } = await cluster.controller();
  const answers = await Promise.all([port.create(request("v1"), soon()), port.create(request("v1"), soon()), port.create(request("v1"), soon())]);
  // How far it has come may differ from one answer to the next.
  const same = answers.map(({ abnormal: _abnormal, message: _message, ...volume }) => volume);
  assert.deepEqual(same.slice(1), [same[0], same[0]]);
  const before = placesOf(cluster.volume("v1"));
  assert.equal(before.length, 2);
  assert.equal(await codeOf(port.create(request("v1", { parameters: { sectorSize: 512 } }), soon())), "ok");
  assert.equal(await codeOf(port.create(request("v1", { capacityBytes: 600 * MiB, atMost: 2 * GiB }), soon())), "ok");
  const others: CreateRequest[] = [
    request("v1", { capacityBytes: 2 * GiB }),
    request("v1", { capacityBytes: 600 * MiB }),
    request("v1", { parameters: { numberOfCopies: 1 } }),
    request("v1", { parameters: { drivesPerCopy: 2 } }),
    request("v1", { parameters: { memberMissingTimeout: 60 } }),
    request("v1", { parameters: { sectorSize: 4096 } }),
    { ...request("v1"), requestedName: "V1" },
  ];
  for (const other of others) assert.equal(await codeOf(port.create(other, soon())), "VolumeIncompatible");
  assert.deepEqual(placesOf(cluster.volume("v1")), before);
});

story("what does not fit is refused with a reason for every node, and nothing is left behind", three, async (cluster) => {
  const { port } = await cluster.controller();
  const cases: [CreateRequest, ErrorCode, RegExp][] = [
    [
      request("v1", { parameters: { numberOfCopies: 4 } }),
      "NotEnoughNodes",
      /^volume v1, numberOfCopies 4, drivesPerCopy 1, capacity_range 1 GiB: 4 nodes with a drive with 1032 MiB free in one piece needed, 3 found$/,
    ],
    [request("v1", { parameters: { drivesPerCopy: 3 } }), "NotEnoughNodes", /drivesPerCopy 3, .*: node a has 2 suitable drives, 3 are needed/],
    [
      request("v1", { capacityBytes: 11 * GiB }),
      "NoCapacity",
      /capacity_range 11 GiB: .* node a has no suitable drive \(drive a1 has room for 10 GiB in one piece, 11272 MiB are needed/,
    ],
    [request("v1", { parameters: { sectorSize: 4096 } }), "NotEnoughNodes", /sectorSize 4096: .* has sectors of 512 bytes, 4096 are wanted/],
  ];
  for (const [wish, code, message] of cases) {
    await assert.rejects(port.create(wish, soon()), (error: MeshStorError) => error.code === code && message.test(error.message));
    assert.equal(cluster.volume("v1"), undefined);
  }
});

story(
  "100 volumes at once share the drives without overlap, and one more is refused",
  () => new FakeCluster({ a: drives("a", 2, 52 * GiB), b: drives("b", 2, 52 * GiB) }),
  async (cluster) => {
    const { port } = await cluster.controller();
    const names = Array.from({ length: 100 }, (_, i) => `v${i}`);
    const signal = AbortSignal.timeout(30_000);
    await Promise.all(names.map((name) => port.create(request(name, { capacityBytes: GiB }), signal)));
    const taken = new Map<string, number>();
    for (const name of names) for (const p of cluster.volume(name)!.status!.partitions!) taken.set(p.drive, (taken.get(p.drive) ?? 0) + p.sizeBytes);
    assert.deepEqual([...taken.keys()].toSorted(), ["a1", "a2", "b1", "b2"]);
    for (const bytes of taken.values()) assert.equal(bytes, 50 * (GiB + PARTITION_OVERHEAD));
    assert.equal(await codeOf(port.create(request("big", { capacityBytes: 2 * GiB }), soon())), "NoCapacity");
  },
);

story(
  "the same request at the same time finds its own volume, also where there is room for one only",
  () => new FakeCluster({ a: drives("a", 1), b: drives("b", 1) }),
  async (cluster) => {
    const { port } = await cluster.controller();
    const wish = request("v1", { capacityBytes: 9 * GiB });
    assert.deepEqual(await Promise.all([codeOf(port.create(wish, soon())), codeOf(port.create(wish, soon())), codeOf(port.create(wish, soon()))]), ["ok", "ok", "ok"]);
  },
);

story(
  "promised space counts before the node has made the partition",
  () => new FakeCluster({ a: drives("a", 1, 3 * GiB), b: drives("b", 1, 3 * GiB) }),
  async (cluster) => {
    cluster.nodes.asleep.add("a").add("b");
    const { port } = await cluster.controller();
    const first = impatient(cluster, port, request("v1", { capacityBytes: 2 * GiB }));
    const second = codeOf(port.create(request("v2", { capacityBytes: 2 * GiB }), soon()));
    assert.deepEqual([(await first).code, await second], ["Waiting", "NoCapacity"]);
  },
);

story("the wait ends with a sentence that tells the progress, and goes on where it was", three, async (cluster) => {
  const { port } = await cluster.controller();
  cluster.nodes.asleep.add("a").add("b").add("c");
  const wish = request("v1", { preferredNodes: ["b"], parameters: { numberOfCopies: 1 } });
  assert.equal((await impatient(cluster, port, wish)).message, "volume v1: 0 of 1 partitions are made and zeroed; waiting for node b");
  await updateStatus(cluster.kube, "v1", (v) => ({ ...v.status, partitions: v.status!.partitions!.map((p) => ({ ...p, progress: "45.2%" })) }));
  assert.equal((await impatient(cluster, port, wish)).message, "volume v1: 0 of 1 partitions are made and zeroed; waiting for node b (45.2%)");
  assert.deepEqual(await port.find("v1", soon()).then((v) => v?.abnormal), true);
  const uuid = cluster.volume("v1")!.status!.partitions![0]!.partitionUUID;
  cluster.nodes.asleep.clear();
  await port.create(wish, soon());
  assert.equal(cluster.volume("v1")!.status!.partitions![0]!.partitionUUID, uuid);
});

story("a partition that cannot be made goes to another drive of its node", three, async (cluster) => {
  const { port } = await cluster.controller();
  for (const drive of ["a a1", "b b1", "c c1"]) cluster.nodes.broken.add(drive);
  await port.create(request("v1", { parameters: { numberOfCopies: 3 } }), soon());
  await eventually("only the good ones are left", () => placesOf(cluster.volume("v1")).toSorted().join() === "a/a2/m0/Created,b/b2/m0/Created,c/c2/m0/Created");
});

story("a copy that cannot be made on its node goes to another node, striped members and all", three, async (cluster) => {
  const { port } = await cluster.controller();
  cluster.nodes.broken.add("b b2");
  await port.create(request("v1", { preferredNodes: ["b"], parameters: { numberOfCopies: 2, drivesPerCopy: 2 } }), soon());
  await eventually("node b is left", () => {
    const places = placesOf(cluster.volume("v1")).toSorted();
    return places.length === 4 && places.every((place) => /^[ac]\/[ac][12]\/m[01]\/Created$/.test(place));
  });
  assert.deepEqual([cluster.free("b", "b1"), cluster.free("b", "b2")], [10 * GiB, 10 * GiB]);
});

story(
  "with no other place the half-made volume is deleted, and the drives are free again",
  () => new FakeCluster({ a: drives("a", 1), b: drives("b", 1) }),
  async (cluster) => {
    const { port } = await cluster.controller();
    cluster.nodes.broken.add("b b1");
    const error = await port.create(request("v1"), soon()).catch((e: MeshStorError) => e);
    assert.ok(error instanceof MeshStorError);
    assert.equal(error.code, "NoCapacity");
    assert.match(
      error.message,
      /^volume v1, numberOfCopies 2, drivesPerCopy 1, capacity_range 1 GiB, sectorSize 512: node b: drive b1 is broken; no other place: 1 node with .* node a holds a copy of this volume; node b could not make its partitions$/,
    );
    await gone(cluster, "v1");
    await eventually("drive a1 is free", () => cluster.free("a", "a1") === 10 * GiB);
  },
);

story("a node that dies before it has made its partition is not waited for for ever", three, async (cluster) => {
  const { port } = await cluster.controller();
  cluster.nodes.asleep.add("b");
  const wish = request("v1", { preferredNodes: ["b"], parameters: { numberOfCopies: 1 } });
  assert.equal((await impatient(cluster, port, wish)).code, "Waiting");
  cluster.aheadMs += 61_000;
  cluster.beat("a");
  cluster.beat("c");
  const seen = async (node: string) => (await port.capacity({ parameters: wish.parameters, within: [node] }, soon())).availableBytes > 0;
  await eventually("their heartbeats are seen", async () => (await seen("a")) && (await seen("c")));
  await port.create(wish, soon());
  assert.match(placesOf(cluster.volume("v1")).join(), /^b\/b\d\/m0\/Deleting,[ac]\/[ac]\d\/m0\/Created$/);
  cluster.nodes.asleep.clear();
  await eventually("the promise on node b is taken back", () => placesOf(cluster.volume("v1")).length === 1);
});

story("nodes that are cordoned, silent, or were silent before we came get no copies", three, async (cluster) => {
  cluster.addNode("b", { unschedulable: true });
  cluster.addNode("c", { renewed: new Date(Date.now() - 60_000) });
  const { port } = await cluster.controller();
  await assert.rejects(port.create(request("v1"), soon()), { code: "NotEnoughNodes", message: /node b is cordoned; node c has no fresh heartbeat$/ });
  cluster.beat("c");
  await eventually("the heartbeat of c is seen", async () => (await codeOf(port.create(request("v1"), soon()))) === "ok");
  cluster.aheadMs += 41_000;
  assert.equal(await codeOf(port.create(request("v2"), soon())), "NotEnoughNodes");
});

story("deletion: refused while a node uses it, answered at once, gone when the nodes are clean", three, async (cluster) => {
  const { port } = await cluster.controller();
  await port.create(request("v1"), soon());
  await updateStatus(cluster.kube, "v1", (v) => ({ ...v.status, owner: OWNER, epoch: 1 }));
  await assert.rejects(port.remove("v1", soon()), { code: "VolumeInUse", message: "volume v1 is in use on node b" });
  await updateStatus(cluster.kube, "v1", (v) => {
    const { owner: _owner, ...rest } = v.status!;
    return rest;
  });
  const away = cluster.volume("v1")!.status!.partitions![0]!.nodeID;
  cluster.nodes.asleep.add(away);
  await port.remove("v1", soon());
  await eventually("one node is clean", () => placesOf(cluster.volume("v1")).length === 1);
  await eventually("its phase says so", () => cluster.volume("v1")?.status?.phase === "Deleting");
  await eventually("it says who is waited for", () => cluster.volume("v1")?.status?.message === `being deleted: waiting for node ${away} to wipe and free its partitions`);
  assert.deepEqual([await port.find("v1", soon()), await port.list(soon())], [null, []]);
  assert.equal(await codeOf(port.remove("v1", soon())), "ok");
  assert.equal(await codeOf(port.create(request("v1"), soon())), "Busy");
  cluster.nodes.asleep.clear();
  await gone(cluster, "v1");
  assert.equal(await codeOf(port.remove("v1", soon())), "ok");
  assert.equal(await codeOf(port.create(request("v1"), soon())), "ok");
});

story("a deletion loses against a node that takes the volume meanwhile", three, async (cluster) => {
  const { port } = await cluster.controller();
  await port.create(request("v1"), soon());
  let claimed = false;
  cluster.kube.before = async (verb, plural) => {
    if (verb !== "remove" || plural !== VOLUMES.plural || claimed) return;
    claimed = true;
    await updateStatus(cluster.kube, "v1", (v) => ({ ...v.status, owner: OWNER, epoch: 1 }));
  };
  assert.equal(await codeOf(port.remove("v1", soon())), "VolumeInUse");
  assert.equal(cluster.volume("v1")?.metadata.deletionTimestamp, undefined);
});

story("killed between object and record: the next controller places it, or deletes it if it fits no more", three, async (cluster) => {
  await cluster.kube.create(VOLUMES, newVolume(request("v1"), 512));
  await cluster.kube.create(VOLUMES, newVolume(request("v2", { capacityBytes: 20 * GiB }), 512));
  const { port } = await cluster.controller();
  await eventually("v1 is made", () => placesOf(cluster.volume("v1")).filter((place) => place.endsWith("Created")).length === 2);
  await gone(cluster, "v2");
  assert.equal(cluster.volume("v1")?.metadata.annotations?.[PROVISIONING], "Pending");
  assert.equal(await codeOf(port.create(request("v1"), soon())), "ok");
  assert.equal(cluster.volume("v1")?.metadata.annotations?.[PROVISIONING], "Done");
});

story("a write that fails at any point of a creation is healed by the next call, without a second volume", three, async (cluster) => {
  const { port } = await cluster.controller();
  const failure = () => new KubeError({ status: 0, reason: "Unreachable", message: "the server is away" });
  for (const [i, verb] of (["list", "create", "replaceStatus", "mergePatch"] as const).entries()) {
    const name = `v${i}`;
    let failed = false;
    cluster.kube.before = (v, plural, object) => {
      if (failed || v !== verb || plural !== VOLUMES.plural || (verb !== "list" && object !== name)) return;
      failed = true;
      throw failure();
    };
    assert.equal(await codeOf(port.create(request(name), soon())), "ApiUnavailable", verb);
    assert.ok(failed);
    assert.equal(await codeOf(port.create(request(name), soon())), "ok", verb);
    assert.equal(cluster.volume(name)!.status!.partitions!.length, 2);
  }
});

story("what nobody was told of, and nobody asks for, is collected after an hour; what somebody knows of never", three, async (cluster) => {
  const { port, stop } = await cluster.controller();
  await port.create(request("known"), soon());
  await stop();
  await cluster.kube.create(VOLUMES, newVolume(request("unknown"), 512));
  const made = newVolume(request("by-hand"), 512);
  await cluster.kube.create(VOLUMES, { ...made, metadata: { name: "by-hand" } });
  await cluster.controller();
  const complete = (name: string) => placesOf(cluster.volume(name)).filter((place) => place.endsWith("Created")).length === 2;
  await eventually("all are made", () => complete("unknown") && complete("by-hand") && complete("known"));
  assert.deepEqual(cluster.volume("by-hand")?.metadata.finalizers, [FINALIZER]);
  cluster.aheadMs += ABANDONED_MS + 1000;
  // Any change wakes the loop.
  for (const name of ["known", "unknown", "by-hand"]) await updateStatus(cluster.kube, name, (v) => ({ ...v.status, phase: "New" }));
  await gone(cluster, "unknown");
  await sleep(50);
  assert.deepEqual([complete("known"), complete("by-hand")], [true, true]);
});

story("a volume made by hand that fits nowhere stays and says why", three, async (cluster) => {
  await cluster.controller();
  const made = newVolume(request("huge", { capacityBytes: 100 * GiB }));
  await cluster.kube.create(VOLUMES, { ...made, metadata: { name: "huge" } });
  await eventually("it says why", () => /3 nodes|2 nodes/.test(cluster.volume("huge")?.status?.message ?? ""));
  assert.equal(cluster.volume("huge")?.status?.phase, "New");
  for (const node of ["a", "b"]) cluster.addDrive(node, { id: `${node}9`, sizeBytes: 200 * GiB });
  await updateStatus(cluster.kube, "huge", (v) => ({ ...v.status, message: "look again" }));
  await eventually("it is made", () => placesOf(cluster.volume("huge")).length === 2);
});

story("capacity: the biggest volume, within a node or anywhere, less what is promised", three, async (cluster) => {
  const { port } = await cluster.controller();
  const parameters = { numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900 };
  const biggest = 10 * GiB - PARTITION_OVERHEAD;
  assert.deepEqual(await port.capacity({ parameters }, soon()), { availableBytes: 30 * GiB, biggestVolumeBytes: biggest });
  assert.deepEqual(await port.capacity({ parameters, within: ["a"] }, soon()), { availableBytes: 20 * GiB, biggestVolumeBytes: biggest });
  assert.deepEqual(await port.capacity({ parameters, within: ["elsewhere"] }, soon()), { availableBytes: 0, biggestVolumeBytes: 0 });
  const striped = { ...parameters, drivesPerCopy: 2 };
  assert.equal((await port.capacity({ parameters: striped }, soon())).biggestVolumeBytes, 2 * biggest);
  assert.equal(await codeOf(port.create(request("v1", { capacityBytes: biggest }), soon())), "ok");
});

story("the list is in order, with conditions", three, async (cluster) => {
  const { port } = await cluster.controller();
  for (const name of ["v2", "v10", "v1"]) await port.create(request(name), soon());
  await updateStatus(cluster.kube, "v2", (v) => ({ ...v.status, epoch: 1, owner: OWNER, degraded: 1, message: "the copy on node a is missing" }));
  const listed = async () => (await port.list(soon())).map((v) => `${v.volumeID} ${v.abnormal}`).join();
  await eventually("the loss is seen, in its place", async () => (await listed()) === "v1 false,v10 false,v2 true");
});

story("before everything is read, calls are told to come back", three, async (cluster) => {
  cluster.kube.before = (verb) => {
    if (verb === "list") throw new KubeError({ status: 503, reason: "ServiceUnavailable", message: "starting" });
  };
  const { port, ready, synced } = cluster.startController();
  await sleep(20);
  assert.deepEqual([ready(), await codeOf(port.create(request("v1"), soon())), await codeOf(port.list(soon()))], [false, "ApiUnavailable", "ApiUnavailable"]);
  cluster.kube.before = () => {};
  await synced;
  assert.equal(await codeOf(port.create(request("v1"), soon())), "ok");
});

story("ModifyVolume writes the spec, once; a volume that is gone is not found", three, async (cluster) => {
  const { port } = await cluster.controller();
  await port.create(request("v"), soon());
  const change = { numberOfCopies: 3, memberMissingTimeout: 60 };
  await port.modify({ volumeID: "v", change }, soon());
  await port.modify({ volumeID: "v", change }, soon());
  const { numberOfCopies, memberMissingTimeout } = cluster.volume("v")!.spec;
  assert.deepEqual([numberOfCopies, memberMissingTimeout, await codeOf(port.modify({ volumeID: "w", change }, soon()))], [3, 60, "VolumeNotFound"]);
});

story(
  "a hundred volumes at once, half of them deleted meanwhile: the others are made, and nothing of the deleted ones is left",
  () => new FakeCluster({ a: drives("a", 2, 200 * GiB), b: drives("b", 2, 200 * GiB), c: drives("c", 2, 200 * GiB) }),
  async (cluster) => {
    const { port } = await cluster.controller();
    const before = ["a", "b", "c"].flatMap((n) => [cluster.free(n, `${n}1`), cluster.free(n, `${n}2`)]).reduce((sum, free) => sum + free, 0);
    const names = Array.from({ length: 100 }, (_, i) => `v${i}`);
    const made = names.map((name) => codeOf(port.create(request(name), AbortSignal.timeout(120_000))));
    // Every second one is given up while it is made, or just after; its creation may end either way.
    const removed = names.map(async (name, i) => {
      if (i % 2 === 0) return "kept";
      await eventually(`${name} is there`, () => cluster.volume(name) !== undefined);
      return codeOf(port.remove(name, soon()));
    });
    const ends = await Promise.all(made);
    assert.deepEqual([ends.filter((_, i) => i % 2 === 0), [...new Set(await Promise.all(removed))].sort()], [Array.from({ length: 50 }, () => "ok"), ["kept", "ok"]]);
    for (const [i, name] of names.entries()) if (i % 2 === 1) await gone(cluster, name);
    const taken = names.flatMap((name) => cluster.volume(name)?.status?.partitions ?? []).map((p) => p.state);
    const after = ["a", "b", "c"].flatMap((n) => [cluster.free(n, `${n}1`), cluster.free(n, `${n}2`)]).reduce((sum, free) => sum + free, 0);
    assert.deepEqual([taken, before - after], [Array.from({ length: 100 }, () => "Created"), 100 * (GiB + PARTITION_OVERHEAD)]);
  },
);

story("a volume shall grow: written once, refused where there is no room at all, and the size only goes up", three, async (cluster) => {
  const { port } = await cluster.controller();
  await port.create(request("v"), soon());
  const expand = (capacityBytes: number, atMost: number | null = null) => port.expand({ volumeID: "v", capacityBytes, atLeast: capacityBytes, atMost }, soon());
  assert.deepEqual([await expand(2 * GiB), await expand(2 * GiB), await expand(GiB), cluster.volume("v")!.spec.capacityBytes], [2 * GiB, 2 * GiB, 2 * GiB, 2 * GiB]);
  assert.deepEqual([await codeOf(expand(20 * GiB)), await codeOf(expand(GiB, GiB)), cluster.volume("v")!.spec.capacityBytes], ["NoCapacity", "SizeOutOfRange", 2 * GiB]);
});
