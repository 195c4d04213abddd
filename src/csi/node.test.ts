import assert from "node:assert/strict";
import { test } from "node:test";

import { MeshStorError } from "../base/errors.ts";
import { Node, VolumeCapability_AccessMode_Mode as Mode } from "./gen/csi_pb.ts";
import { nodeService } from "./node.ts";
import type { NodePort } from "./node-port.ts";
import { codeOf, refusalOf, withServer } from "./test-client.ts";

const ID = "pvc-1";
const STAGING = "/var/lib/kubelet/plugins/x/globalmount";
const TARGET = "/var/lib/kubelet/pods/p/volumes/v/mount";
const capability = (mode: number = Mode.SINGLE_NODE_WRITER, fsType = "", mountFlags: string[] = []) => ({
  accessType: { case: "mount" as const, value: { fsType, mountFlags } },
  accessMode: { mode: mode as Mode },
});
/** A pod's label as kubelet passes it where the CSIDriver says seLinuxMount. */
const SELINUX = 'context="system_u:object_r:container_file_t:s0:c12,c34"';
const block = { accessType: { case: "block" as const, value: {} }, accessMode: { mode: Mode.SINGLE_NODE_WRITER } };

function recorder(change: Partial<NodePort> = {}) {
  const calls: unknown[] = [];
  const record = (name: string) => async (request: unknown) => void calls.push([name, request]);
  const usage = { total: 10, used: 4, available: 6 };
  const port: NodePort = {
    stage: record("stage"),
    unstage: record("unstage"),
    publish: record("publish"),
    unpublish: record("unpublish"),
    stats: async () => ({ bytes: usage, inodes: usage, abnormal: true, message: "degraded: n2 is away" }),
    expand: async () => 7,
    info: () => ({ nodeID: "n1", maxVolumes: 100, topology: {} }),
    ...change,
  };
  return { calls, service: nodeService(port) };
}

test("what is asked reaches the agent as it was checked", async () => {
  const { calls, service } = recorder();
  await withServer(Node, service, async (client) => {
    const volumeCapability = capability(Mode.SINGLE_NODE_MULTI_WRITER, "xfs", ["noatime", "ro", "logbsize=256k", SELINUX]);
    await client.call("nodeStageVolume", { volumeId: ID, stagingTargetPath: `${STAGING}/`, volumeCapability });
    await client.call("nodePublishVolume", { volumeId: ID, stagingTargetPath: STAGING, targetPath: TARGET, volumeCapability: capability(), readonly: true });
    await client.call("nodePublishVolume", { volumeId: ID, stagingTargetPath: STAGING, targetPath: TARGET, volumeCapability: capability(Mode.SINGLE_NODE_SINGLE_WRITER) });
    await client.call("nodeUnpublishVolume", { volumeId: ID, targetPath: TARGET });
    await client.call("nodeUnstageVolume", { volumeId: ID, stagingTargetPath: STAGING });
  });
  assert.deepEqual(calls, [
    ["stage", { volumeID: ID, stagingPath: STAGING, volumeMode: "Filesystem", fsType: "xfs", mountFlags: ["noatime", "logbsize=256k", SELINUX], readOnly: true }],
    ["publish", { volumeID: ID, stagingPath: STAGING, targetPath: TARGET, volumeMode: "Filesystem", fsType: null, readOnly: true, exclusive: false }],
    ["publish", { volumeID: ID, stagingPath: STAGING, targetPath: TARGET, volumeMode: "Filesystem", fsType: null, readOnly: false, exclusive: true }],
    ["unpublish", { volumeID: ID, targetPath: TARGET }],
    ["unstage", { volumeID: ID, stagingPath: STAGING }],
  ]);
});

test("info, capabilities and stats", async () => {
  await withServer(Node, recorder().service, async (client) => {
    const info = await client.call("nodeGetInfo", {});
    assert.deepEqual([info.nodeId, info.maxVolumesPerNode, info.accessibleTopology?.segments], ["n1", 100n, { "topology.io.meshstor.csi.mesh/node": "n1" }]);
    const { capabilities } = await client.call("nodeGetCapabilities", {});
    assert.deepEqual(
      capabilities.map((c) => c.type.case === "rpc" && c.type.value.type),
      [1, 2, 3, 4, 5],
    );
    const stats = await client.call("nodeGetVolumeStats", { volumeId: ID, volumePath: TARGET });
    assert.deepEqual(
      stats.usage.map((u) => [u.unit, u.total, u.used, u.available]),
      [
        [1, 10n, 4n, 6n],
        [2, 10n, 4n, 6n],
      ],
    );
    assert.deepEqual([stats.volumeCondition?.abnormal, stats.volumeCondition?.message], [true, "degraded: n2 is away"]);
  });
});

test("a raw block volume: staged and published as one, and of its usage only the size is known", async () => {
  const { calls, service } = recorder({ stats: async () => ({ size: 1024, abnormal: false, message: "all copies are in sync" }) });
  await withServer(Node, service, async (client) => {
    await client.call("nodeStageVolume", { volumeId: ID, stagingTargetPath: STAGING, volumeCapability: block });
    await client.call("nodePublishVolume", { volumeId: ID, stagingTargetPath: STAGING, targetPath: TARGET, volumeCapability: block, readonly: true });
    const { usage } = await client.call("nodeGetVolumeStats", { volumeId: ID, volumePath: TARGET });
    assert.deepEqual(
      usage.map((u) => [u.unit, u.total, u.used, u.available]),
      [[1, 1024n, 0n, 0n]],
    );
  });
  assert.deepEqual(calls, [
    ["stage", { volumeID: ID, stagingPath: STAGING, volumeMode: "Block", fsType: null, mountFlags: [], readOnly: false }],
    ["publish", { volumeID: ID, stagingPath: STAGING, targetPath: TARGET, volumeMode: "Block", fsType: null, readOnly: true, exclusive: false }],
  ]);
});

test("bad arguments: one code each, a sentence with the field, and the agent is never asked", async () => {
  const { calls, service } = recorder();
  await withServer(Node, service, async (client) => {
    const stage = (change: object) => client.call("nodeStageVolume", { volumeId: ID, stagingTargetPath: STAGING, volumeCapability: capability(), ...change });
    const publish = (change: object) =>
      client.call("nodePublishVolume", { volumeId: ID, stagingTargetPath: STAGING, targetPath: TARGET, volumeCapability: capability(), ...change });
    const cases: [string, () => Promise<unknown>, string, RegExp][] = [
      ["no id", () => stage({ volumeId: "" }), "INVALID_ARGUMENT", /^volume_id is missing/],
      ["hostile id", () => stage({ volumeId: "../x" }), "NOT_FOUND", /^volume_id "..\/x"/],
      ["hostile id with newline", () => stage({ volumeId: 'a"\nb' }), "NOT_FOUND", /^volume_id "a\\"\\nb"/],
      ["long id", () => stage({ volumeId: "a".repeat(300) }), "NOT_FOUND", /^volume_id "a+…"/],
      ["no staging path", () => stage({ stagingTargetPath: "" }), "INVALID_ARGUMENT", /^staging_target_path is missing/],
      ["relative staging path", () => stage({ stagingTargetPath: "x/y" }), "INVALID_ARGUMENT", /^staging_target_path "x\/y" is not an absolute path/],
      ["staging path with NUL", () => stage({ stagingTargetPath: "/x\0y" }), "INVALID_ARGUMENT", /^staging_target_path .* control character/],
      ["staging path with ..", () => stage({ stagingTargetPath: "/x/../etc" }), "INVALID_ARGUMENT", /^staging_target_path .* contains '.' or '..'/],
      ["staging on the root", () => stage({ stagingTargetPath: "//" }), "INVALID_ARGUMENT", /^staging_target_path .* root directory/],
      ["no capability", () => stage({ volumeCapability: undefined }), "INVALID_ARGUMENT", /^volume_capability is missing/],
      ["no access type", () => stage({ volumeCapability: { accessMode: { mode: 1 } } }), "INVALID_ARGUMENT", /neither mount nor block/],
      ["no access mode", () => stage({ volumeCapability: { accessType: { case: "mount", value: {} } } }), "INVALID_ARGUMENT", /access_mode is missing/],
      ["many writers", () => stage({ volumeCapability: capability(Mode.MULTI_NODE_MULTI_WRITER) }), "INVALID_ARGUMENT", /access_mode MULTI_NODE_MULTI_WRITER is not offered/],
      ["reader only", () => stage({ volumeCapability: capability(Mode.SINGLE_NODE_READER_ONLY) }), "INVALID_ARGUMENT", /access_mode SINGLE_NODE_READER_ONLY/],
      ["unknown mode", () => stage({ volumeCapability: capability(77) }), "INVALID_ARGUMENT", /access_mode 77 is not offered/],
      ["btrfs", () => stage({ volumeCapability: capability(1, "btrfs") }), "INVALID_ARGUMENT", /fs_type "btrfs" is not offered, only "xfs" and "ext4"/],
      ["flag that undoes safety", () => stage({ volumeCapability: capability(1, "", ["nouuid"]) }), "INVALID_ARGUMENT", /mount_flags: "nouuid"/],
      ["flag that is two", () => stage({ volumeCapability: capability(1, "", ["noatime,norecovery"]) }), "INVALID_ARGUMENT", /mount_flags: "noatime,norecovery"/],
      ["a context that is two", () => stage({ volumeCapability: capability(1, "", ['context="a",norecovery,x="b"']) }), "INVALID_ARGUMENT", /mount_flags: "context=/],
      ["flag that brings in another device", () => stage({ volumeCapability: capability(1, "", ["logdev=/dev/sda"]) }), "INVALID_ARGUMENT", /mount_flags: "logdev=/],
      ["flag of mount(8) itself", () => stage({ volumeCapability: capability(1, "", ["X-mount.mkdir"]) }), "INVALID_ARGUMENT", /mount_flags: "X-mount.mkdir"/],
      ["flag that is an option", () => stage({ volumeCapability: capability(1, "", ["--bind"]) }), "INVALID_ARGUMENT", /mount_flags: "--bind"/],
      ["no target", () => publish({ targetPath: "" }), "INVALID_ARGUMENT", /^target_path is missing/],
      ["relative target", () => publish({ targetPath: "mnt" }), "INVALID_ARGUMENT", /^target_path "mnt" is not an absolute path/],
      ["not staged", () => publish({ stagingTargetPath: "" }), "FAILED_PRECONDITION", /^staging_target_path is missing/],
      ["same path", () => publish({ targetPath: STAGING }), "INVALID_ARGUMENT", /same path/],
      ["target within staging", () => publish({ targetPath: `${STAGING}/sub` }), "INVALID_ARGUMENT", /one within the other/],
      ["unpublish without target", () => client.call("nodeUnpublishVolume", { volumeId: ID }), "INVALID_ARGUMENT", /^target_path is missing/],
      ["unstage without path", () => client.call("nodeUnstageVolume", { volumeId: ID }), "INVALID_ARGUMENT", /^staging_target_path is missing/],
      ["stats without path", () => client.call("nodeGetVolumeStats", { volumeId: ID }), "INVALID_ARGUMENT", /^volume_path is missing/],
      [
        "stats of a relative path",
        () => client.call("nodeGetVolumeStats", { volumeId: ID, volumePath: "some/path" }),
        "NOT_FOUND",
        /^volume pvc-1 is not mounted there: volume_path "some\/path"/,
      ],
      ["expand without path", () => client.call("nodeExpandVolume", { volumeId: ID }), "INVALID_ARGUMENT", /^volume_path is missing/],
    ];
    for (const [name, call, code, details] of cases) {
      const refusal = await refusalOf(call());
      assert.equal(refusal.code, code, name);
      assert.match(refusal.details, details, name);
    }
  });
  assert.deepEqual(calls, []);
});

test("one operation per volume: the second is told what is under way, another volume is not disturbed", async () => {
  const first = Promise.withResolvers<void>();
  const { service } = recorder({ stage: (request) => (request.volumeID === ID ? first.promise : Promise.resolve()) });
  await withServer(Node, service, async (client) => {
    const request = { stagingTargetPath: STAGING, volumeCapability: capability() };
    const stage = client.call("nodeStageVolume", { volumeId: ID, ...request });
    const second = await refusalOf(client.call("nodeUnstageVolume", { volumeId: ID, stagingTargetPath: STAGING }));
    assert.deepEqual(
      [second.code, second.details],
      ["ABORTED", "volume pvc-1: NodeStageVolume is under way, for 0 s. Another operation on this volume is under way; repeat later."],
    );
    assert.equal(await codeOf(client.call("nodeStageVolume", { volumeId: "pvc-2", ...request })), "OK");
    first.resolve();
    await stage;
    assert.equal(await codeOf(client.call("nodeUnstageVolume", { volumeId: ID, stagingTargetPath: STAGING })), "OK");
  });
});

test("a refusal of the agent frees the volume for the next call", async () => {
  let calls = 0;
  const unstage = async () => {
    calls += 1;
    if (calls === 1) throw new MeshStorError("TargetInUse", "staging_target_path /x is a file");
  };
  await withServer(Node, recorder({ unstage }).service, async (client) => {
    const call = () => codeOf(client.call("nodeUnstageVolume", { volumeId: ID, stagingTargetPath: STAGING }));
    assert.deepEqual([await call(), await call()], ["FAILED_PRECONDITION", "OK"]);
  });
});
