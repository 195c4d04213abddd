import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";

import { MeshStorError } from "../base/errors.ts";
import { GiB, MiB } from "../base/units.ts";
import { controllerService } from "./controller.ts";
import type { CapacityRequest, ControllerPort, CreateRequest, ExpandRequest, ModifyRequest, VolumeSummary } from "./controller-port.ts";
import { Controller, type CreateVolumeRequestSchema, VolumeCapability_AccessMode_Mode as Mode } from "./gen/csi_pb.ts";
import { codeOf, refusalOf, withServer } from "./test-client.ts";

const mount = (mode: number = Mode.SINGLE_NODE_WRITER, fsType = "") => ({ accessType: { case: "mount" as const, value: { fsType } }, accessMode: { mode: mode as Mode } });
const block = { accessType: { case: "block" as const, value: {} }, accessMode: { mode: Mode.SINGLE_NODE_WRITER } };
const NODE_KEY = "topology.io.meshstor.csi.mesh/node";

function fakePort() {
  const created: CreateRequest[] = [];
  const removed: string[] = [];
  const modified: ModifyRequest[] = [];
  const expanded: ExpandRequest[] = [];
  const asked: CapacityRequest[] = [];
  const volumes = new Map<string, VolumeSummary>();
  const port: ControllerPort = {
    create: async (request) => {
      created.push(request);
      const { numberOfCopies, drivesPerCopy, memberMissingTimeout } = request.parameters;
      const { volumeID, capacityBytes } = request;
      const spec = { capacityBytes, numberOfCopies, drivesPerCopy, memberMissingTimeout, sectorSize: 4096, fsType: "xfs" as const };
      const volume = { volumeID, capacityBytes, abnormal: false, message: "all copies are in sync", spec };
      volumes.set(volumeID, volume);
      return volume;
    },
    expand: async (request) => {
      expanded.push(request);
      return request.capacityBytes;
    },
    modify: async (request) => {
      if (!volumes.has(request.volumeID)) throw new MeshStorError("VolumeNotFound", `volume_id ${request.volumeID} does not exist`);
      modified.push(request);
    },
    remove: async (volumeID) => {
      removed.push(volumeID);
      if (volumes.get(volumeID)?.abnormal) throw new MeshStorError("VolumeInUse", `volume ${volumeID} is in use on node n1`);
      volumes.delete(volumeID);
    },
    find: async (volumeID) => volumes.get(volumeID) ?? null,
    list: async () => [...volumes.values()].toSorted((a, b) => (a.volumeID < b.volumeID ? -1 : 1)),
    capacity: async (request) => {
      asked.push(request);
      return { availableBytes: 9 * GiB, biggestVolumeBytes: 3 * GiB };
    },
  };
  return { created, removed, modified, expanded, asked, volumes, service: controllerService(port) };
}

type Create = MessageInitShape<typeof CreateVolumeRequestSchema>;
const create = (change: Create = {}): Create => ({ name: "pvc-1", volumeCapabilities: [mount()], ...change });

test("a request reaches the role as it was checked; the answer carries no topology", async () => {
  const { created, service } = fakePort();
  await withServer(Controller, service, async (client) => {
    const topology = {
      preferred: [{ segments: { [NODE_KEY]: "b" } }, { segments: { [NODE_KEY]: "a" } }],
      requisite: [{ segments: { [NODE_KEY]: "a" } }, { segments: { [NODE_KEY]: "b" } }],
    };
    const parameters = { replicaCount: "3", stripeWidth: "2", memberMissingTimeout: "60", "csi.storage.k8s.io/pvc/name": "claim" };
    const request = { name: "PVC_1", volumeCapabilities: [mount(Mode.SINGLE_NODE_MULTI_WRITER, "xfs")], parameters, capacityRange: { requiredBytes: BigInt(GiB + 1) } };
    const { volume } = await client.call("createVolume", { ...request, accessibilityRequirements: topology });
    assert.deepEqual([volume?.capacityBytes, volume?.accessibleTopology, volume?.volumeContext], [BigInt(GiB + MiB), [], {}]);
    assert.match(volume?.volumeId ?? "", /^pvc-1-[0-9a-f]{10}$/);
    await client.call("createVolume", create());
  });
  const [first, second] = created;
  assert.deepEqual(first, {
    requestedName: "PVC_1",
    volumeID: first!.volumeID,
    parameters: { numberOfCopies: 3, drivesPerCopy: 2, memberMissingTimeout: 60 },
    volumeMode: "Filesystem",
    fsType: "xfs",
    capacityBytes: GiB + MiB,
    atLeast: GiB + 1,
    atMost: GiB + MiB,
    preferredNodes: ["b"],
    favouredNodes: ["a", "b"],
  });
  assert.deepEqual([second!.volumeID, second!.capacityBytes, second!.parameters], ["pvc-1", GiB, { numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900 }]);
});

test("bad input: one code each, a sentence with the field, and the role is never asked", async () => {
  const { created, removed, service } = fakePort();
  const parameter = (key: string, value: string, more: Record<string, string> = {}) => create({ parameters: { [key]: value, ...more } });
  const size = (requiredBytes: number, limitBytes = 0) => create({ capacityRange: { requiredBytes: BigInt(requiredBytes), limitBytes: BigInt(limitBytes) } });
  const cases: [string, Create, string, RegExp][] = [
    ["no name", create({ name: "" }), "INVALID_ARGUMENT", /^name is missing/],
    ["../x", create({ name: "../x" }), "INVALID_ARGUMENT", /name "\.\.\/x" is not allowed/],
    ["300 characters", create({ name: "a".repeat(300) }), "INVALID_ARGUMENT", /name "a+…" is not allowed/],
    ["quotes", create({ name: `a"'b` }), "INVALID_ARGUMENT", /name "a\\"'b" is not allowed/],
    ["newlines", create({ name: "a\nb" }), "INVALID_ARGUMENT", /name "a\\nb" is not allowed/],
    ["no capabilities", create({ volumeCapabilities: [] }), "INVALID_ARGUMENT", /^volume_capabilities is missing/],
    ["both modes", create({ volumeCapabilities: [mount(), block] }), "INVALID_ARGUMENT", /^volume_capabilities: mount in one and block in another/],
    [
      "two filesystems",
      create({ volumeCapabilities: [mount(1, "xfs"), mount(1, "ext4")] }),
      "INVALID_ARGUMENT",
      /^volume_capabilities: mount.fs_type is xfs in one and ext4 in another/,
    ],
    ["ReadWriteMany", create({ volumeCapabilities: [mount(Mode.MULTI_NODE_MULTI_WRITER)] }), "INVALID_ARGUMENT", /^volume_capabilities\[0\]\.access_mode MULTI_NODE_MULTI_WRITER/],
    ["ReadOnlyMany", create({ volumeCapabilities: [mount(Mode.MULTI_NODE_READER_ONLY)] }), "INVALID_ARGUMENT", /MULTI_NODE_READER_ONLY is not offered/],
    ["btrfs", create({ volumeCapabilities: [mount(1, "btrfs")] }), "INVALID_ARGUMENT", /fs_type "btrfs" is not offered/],
    ["copies 0", parameter("numberOfCopies", "0"), "INVALID_ARGUMENT", /numberOfCopies is "0"/],
    ["copies -1", parameter("replicaCount", "-1"), "INVALID_ARGUMENT", /replicaCount is "-1"/],
    ["copies two", parameter("numberOfCopies", "two"), "INVALID_ARGUMENT", /numberOfCopies is "two"/],
    ["copies 99", parameter("numberOfCopies", "99"), "INVALID_ARGUMENT", /numberOfCopies is "99"/],
    ["stripes 0", parameter("stripeWidth", "0"), "INVALID_ARGUMENT", /stripeWidth is "0"/],
    ["timeout 59", parameter("memberMissingTimeout", "59"), "INVALID_ARGUMENT", /memberMissingTimeout is "59"/],
    ["sectors 1024", parameter("sectorSize", "1024"), "INVALID_ARGUMENT", /sectorSize is "1024"/],
    ["both spellings", parameter("numberOfCopies", "2", { replicaCount: "3" }), "INVALID_ARGUMENT", /numberOfCopies and replicaCount/],
    ["unknown", parameter("colour", "red"), "INVALID_ARGUMENT", /"colour"/],
    ["511 MiB", size(511 * MiB), "OUT_OF_RANGE", /required_bytes 535822336 \(511 MiB\) is below the smallest volume, 512 MiB/],
    ["limit 511 MiB", size(0, 511 * MiB), "OUT_OF_RANGE", /limit_bytes .* is below the smallest volume/],
    ["limit below", size(2 * GiB, GiB), "OUT_OF_RANGE", /limit_bytes 1073741824 is below required_bytes 2147483648/],
    ["negative", size(-1), "OUT_OF_RANGE", /required_bytes -1 is negative/],
    ["beyond everything", create({ capacityRange: { requiredBytes: 2n ** 62n } }), "OUT_OF_RANGE", /beyond every drive/],
    ["attributes class", create({ mutableParameters: { sectorSize: "512" } }), "INVALID_ARGUMENT", /^VolumeAttributesClass parameter sectorSize cannot be changed/],
    ["from a snapshot", create({ volumeContentSource: { type: { case: "snapshot", value: { snapshotId: "s" } } } }), "INVALID_ARGUMENT", /^volume_content_source/],
  ];
  await withServer(Controller, service, async (client) => {
    for (const [name, request, code, details] of cases) {
      const refusal = await refusalOf(client.call("createVolume", request));
      assert.equal(refusal.code, code, name);
      assert.match(refusal.details, details, name);
    }
    assert.equal(await codeOf(client.call("deleteVolume", {})), "INVALID_ARGUMENT");
    // What cannot exist is deleted already, without anybody being asked.
    for (const volumeId of ["../x", "a".repeat(300), "a\nb", "UPPER"]) assert.equal(await codeOf(client.call("deleteVolume", { volumeId })), "OK");
    for (const volumeId of ["../x", "nobodys"]) {
      assert.equal(await codeOf(client.call("controllerGetVolume", { volumeId })), "NOT_FOUND");
      assert.equal(await codeOf(client.call("validateVolumeCapabilities", { volumeId, volumeCapabilities: [mount()] })), "NOT_FOUND");
    }
    assert.equal(await codeOf(client.call("controllerPublishVolume", { volumeId: "v", nodeId: "n" })), "UNIMPLEMENTED");
    assert.equal(await codeOf(client.call("createSnapshot", { name: "s", sourceVolumeId: "v" })), "UNIMPLEMENTED");
  });
  assert.deepEqual([created, removed], [[], []]);
});

test("capabilities are confirmed, or the sentence says why not", async () => {
  await withServer(Controller, fakePort().service, async (client) => {
    await client.call("createVolume", create());
    const validate = (change: object) => client.call("validateVolumeCapabilities", { volumeId: "pvc-1", volumeCapabilities: [mount()], ...change });
    const good = await validate({ parameters: { replicaCount: "2" }, volumeContext: { "storage.kubernetes.io/csiProvisionerIdentity": "x" } });
    assert.equal(good.confirmed?.volumeCapabilities.length, 1);
    const sentences = [
      await validate({ volumeCapabilities: [block] }),
      await validate({ parameters: { replicaCount: "3" } }),
      await validate({ parameters: { replicaCount: "x" } }),
    ];
    assert.deepEqual(
      sentences.map((answer) => [answer.confirmed, answer.message.split(":")[0]]),
      [
        [undefined, "volume_capabilities[0].block"],
        [undefined, "parameter numberOfCopies is 3, the volume has 2"],
        [undefined, 'StorageClass parameter replicaCount is "x"'],
      ],
    );
    assert.equal(await codeOf(validate({ volumeCapabilities: [] })), "INVALID_ARGUMENT");
  });
});

test("paging goes through all volumes, also when the last of a page is deleted meanwhile", async () => {
  const { volumes, service } = fakePort();
  await withServer(Controller, service, async (client) => {
    for (const name of ["v1", "v2", "v3", "v4", "v5"]) await client.call("createVolume", create({ name }));
    const ids = async (request: { maxEntries?: number; startingToken?: string }) => {
      const { entries, nextToken } = await client.call("listVolumes", request);
      return { ids: entries.map((e) => e.volume?.volumeId), nextToken };
    };
    const first = await ids({ maxEntries: 2 });
    assert.deepEqual(first.ids, ["v1", "v2"]);
    volumes.delete("v2");
    const second = await ids({ maxEntries: 2, startingToken: first.nextToken });
    assert.deepEqual(second.ids, ["v3", "v4"]);
    assert.deepEqual(await ids({ maxEntries: 2, startingToken: second.nextToken }), { ids: ["v5"], nextToken: "" });
    assert.deepEqual(await ids({}), { ids: ["v1", "v3", "v4", "v5"], nextToken: "" });
    assert.equal(await codeOf(ids({ startingToken: "invalid-token" })), "ABORTED");
    assert.equal(await codeOf(ids({ maxEntries: -1 })), "INVALID_ARGUMENT");
  });
});

test("capacity, conditions and capabilities", async () => {
  const { asked, volumes, service } = fakePort();
  await withServer(Controller, service, async (client) => {
    const capacity = await client.call("getCapacity", { parameters: { replicaCount: "3" }, accessibleTopology: { segments: { [NODE_KEY]: "n1" } } });
    assert.deepEqual([capacity.availableCapacity, capacity.maximumVolumeSize, capacity.minimumVolumeSize], [BigInt(9 * GiB), BigInt(3 * GiB), BigInt(512 * MiB)]);
    assert.deepEqual(asked, [{ parameters: { numberOfCopies: 3, drivesPerCopy: 1, memberMissingTimeout: 900 }, within: ["n1"] }]);
    assert.equal((await client.call("getCapacity", { volumeCapabilities: [mount(Mode.MULTI_NODE_MULTI_WRITER)] })).availableCapacity, 0n);
    assert.equal(await codeOf(client.call("getCapacity", { parameters: { replicaCount: "0" } })), "INVALID_ARGUMENT");
    await client.call("createVolume", create());
    volumes.set("pvc-1", { ...volumes.get("pvc-1")!, abnormal: true, message: "the copy on node n2 is missing" });
    const { status } = await client.call("controllerGetVolume", { volumeId: "pvc-1" });
    assert.deepEqual([status?.volumeCondition?.abnormal, status?.volumeCondition?.message], [true, "the copy on node n2 is missing"]);
    assert.deepEqual((await refusalOf(client.call("deleteVolume", { volumeId: "pvc-1" }))).code, "FAILED_PRECONDITION");
    const { capabilities } = await client.call("controllerGetCapabilities", {});
    assert.deepEqual(
      capabilities.map((c) => c.type.case === "rpc" && c.type.value.type),
      [1, 3, 4, 12, 11, 13, 9, 14],
    );
  });
});

test("a VolumeAttributesClass: understood at creation and later, in both spellings; what is unknown or fixed is named", async () => {
  const { created, modified, service } = fakePort();
  await withServer(Controller, service, async (client) => {
    await client.call("createVolume", create({ parameters: { replicaCount: "2" }, mutableParameters: { numberOfCopies: "3" } }));
    const modify = (mutableParameters: Record<string, string>, volumeId = "pvc-1") => client.call("controllerModifyVolume", { volumeId, mutableParameters });
    await modify({ replicaCount: "1", memberMissingTimeout: "60" });
    const cases: [Promise<unknown>, string, RegExp][] = [
      [modify({ copies: "3" }), "INVALID_ARGUMENT", /^VolumeAttributesClass parameter "copies" \(value "3"\) is not known/],
      [modify({ drivesPerCopy: "2" }), "INVALID_ARGUMENT", /^VolumeAttributesClass parameter drivesPerCopy cannot be changed/],
      [modify({ numberOfCopies: "99" }), "INVALID_ARGUMENT", /numberOfCopies is "99": it must be a whole number from 1 to 16/],
      [modify({}), "INVALID_ARGUMENT", /^mutable_parameters is missing/],
      [modify({ numberOfCopies: "3" }, "nobodys"), "NOT_FOUND", /nobodys/],
    ];
    for (const [call, code, details] of cases) {
      const refusal = await refusalOf(call);
      assert.equal(refusal.code, code);
      assert.match(refusal.details, details);
    }
  });
  assert.deepEqual(created[0]!.parameters.numberOfCopies, 3);
  assert.deepEqual(modified, [{ volumeID: "pvc-1", change: { numberOfCopies: 1, memberMissingTimeout: 60 } }]);
});

test("expansion: whole MiB, the limit kept, and the node has its part to do", async () => {
  const { expanded, service } = fakePort();
  await withServer(Controller, service, async (client) => {
    const expand = (capacityRange: object | undefined, volumeId = "pvc-1") => client.call("controllerExpandVolume", { volumeId, ...(capacityRange && { capacityRange }) });
    const answer = await expand({ requiredBytes: BigInt(2 * GiB - 1), limitBytes: BigInt(3 * GiB) });
    assert.deepEqual([answer.capacityBytes, answer.nodeExpansionRequired], [BigInt(2 * GiB), true]);
    assert.deepEqual(
      [await codeOf(expand(undefined)), await codeOf(expand({ requiredBytes: 2n, limitBytes: 1n })), await codeOf(expand({ requiredBytes: BigInt(GiB) }, "../x"))],
      ["INVALID_ARGUMENT", "OUT_OF_RANGE", "NOT_FOUND"],
    );
  });
  assert.deepEqual(expanded, [{ volumeID: "pvc-1", capacityBytes: 2 * GiB, atLeast: 2 * GiB - 1, atMost: 3 * GiB }]);
});
