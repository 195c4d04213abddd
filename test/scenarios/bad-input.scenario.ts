/**
 * Bad input against the real programs: one gRPC code each, a sentence that names the field, and nothing left behind:
 * no volume object, no partition, no export, no mount, and no byte less free than before.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import {
  Controller,
  Node,
  VolumeCapability_AccessMode_Mode as Mode,
  type CreateVolumeRequestSchema,
  type NodePublishVolumeRequestSchema,
  type NodeStageVolumeRequestSchema,
} from "../../src/csi/gen/csi_pb.ts";
import { CsiError } from "../../lab/world/csi-client.ts";
import { traces } from "../../lab/world/inspect.ts";
import { MOUNT_XFS } from "../../lab/world/node-program.ts";
import { createVolume, deleteVolume } from "../../lab/world/volumes.ts";
import { World } from "../../lab/world/world.ts";

const MiB = 1024 ** 2;
const GiB = 1024 * MiB;
type Fields<D extends DescMessage> = Exclude<MessageInitShape<D>, Message>;
type Create = Fields<typeof CreateVolumeRequestSchema>;
type Stage = Fields<typeof NodeStageVolumeRequestSchema>;
type Publish = Fields<typeof NodePublishVolumeRequestSchema>;
/** What is asked for, and how it is refused. */
type Case<T> = readonly [name: string, request: T, code: string, sentence: RegExp];

let world: World;
/** What every node's kernel and every drive shows when nothing was done. */
let empty: string;

before(async () => {
  const drives = [{ size: 2 * GiB }, { size: 2 * GiB }];
  world = await World.up({ nodes: ["n1", "n2", "n3"].map((name) => ({ name, drives })) });
  empty = await everything();
});
after(() => world?.down());
afterEach(async () => {
  if (empty) assert.equal(await everything(), empty, "nothing is left behind");
});

/** An array that is mounted is clean now and active then. */
const withoutState = (trace: string) => trace.replace(/^(array \S+) \S+$/, "$1");

/** All that could be left behind, as text: objects, kernel, free space, and folders that kubelet did not make. */
async function everything(): Promise<string> {
  const kernels = await Promise.all(world.names.map(async (name) => [name, ...(await traces(world.lab.guest(name))).map(withoutState)].join("\n  ")));
  const free = (await world.devices()).map((d) => `${d.metadata.name} ${d.status!.freeBytes}`).sort();
  const folders = await Promise.all(world.names.map((name) => world.lab.guest(name).sh("find /var/lib/kubelet/plugins /relative /x -mindepth 1 2>/dev/null | sort || true")));
  return [await world.kubectl("get", "msvol", "-o", "name"), ...kernels, ...free, ...folders].join("\n");
}

async function refusal(call: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof CsiError, String(error));
    return { code: error.code, message: error.message };
  }
  return { code: "OK", message: "the call succeeded" };
}

/** Makes all calls and reports every answer that is not as it should be. */
async function refuseAll<T>(cases: readonly Case<T>[], call: (request: T) => Promise<unknown>): Promise<void> {
  const wrong: string[] = [];
  for (const [name, request, code, sentence] of cases) {
    const answer = await refusal(call(request));
    if (answer.code !== code || !sentence.test(answer.message)) wrong.push(`${name}: expected ${code} ${sentence.source}, got ${answer.message}`);
  }
  assert.deepEqual(wrong, []);
}

const mode = (mode: Mode) => ({ ...MOUNT_XFS, accessMode: { mode } });
const mount = (fsType: string, mountFlags: string[] = []) => ({ ...MOUNT_XFS, accessType: { case: "mount" as const, value: { fsType, mountFlags } } });
const BLOCK = { ...MOUNT_XFS, accessType: { case: "block" as const, value: {} } };
/** What nobody may take for a name, an id, or a part of a path. */
const HOSTILE = ["../x", "../../etc/passwd", "/dev/sda", `a"'b`, "a\nb", "a b", "$(reboot)", "a;b", "-rf", "a".repeat(300), "\u0000", "ä"];

test("CreateVolume", async () => {
  const create = (change: Create): Create => ({ name: "pvc-bad", volumeCapabilities: [MOUNT_XFS], capacityRange: { requiredBytes: BigInt(512 * MiB) }, ...change });
  const parameters = (parameters: Record<string, string>) => create({ parameters });
  const size = (requiredBytes: number, limitBytes = 0) => create({ capacityRange: { requiredBytes: BigInt(requiredBytes), limitBytes: BigInt(limitBytes) } });
  const cases: Case<Create>[] = [
    ["copies 0", parameters({ numberOfCopies: "0" }), "INVALID_ARGUMENT", /numberOfCopies is "0"/],
    ["copies -1", parameters({ replicaCount: "-1" }), "INVALID_ARGUMENT", /replicaCount is "-1"/],
    ["copies two", parameters({ numberOfCopies: "two" }), "INVALID_ARGUMENT", /numberOfCopies is "two"/],
    ["copies 99", parameters({ numberOfCopies: "99" }), "INVALID_ARGUMENT", /numberOfCopies is "99"/],
    ["more copies than nodes", parameters({ numberOfCopies: "4" }), "RESOURCE_EXHAUSTED", /numberOfCopies 4, .*4 nodes .* needed, 3 found/],
    [
      "stripes wider than any node",
      parameters({ stripeWidth: "3" }),
      "RESOURCE_EXHAUSTED",
      /drivesPerCopy 3, .*2 nodes with 3 drives .* needed, 0 found: node n1 has 2 suitable drives, 3 are needed/,
    ],
    ["timeout 59", parameters({ memberMissingTimeout: "59" }), "INVALID_ARGUMENT", /memberMissingTimeout is "59"/],
    ["sector size 1024", parameters({ sectorSize: "1024" }), "INVALID_ARGUMENT", /sectorSize is "1024"/],
    ["sector size that no drive has", parameters({ sectorSize: "4096" }), "RESOURCE_EXHAUSTED", /sectorSize 4096: .*has sectors of 512 bytes, 4096 are wanted/],
    ["spellings that disagree", parameters({ numberOfCopies: "2", replicaCount: "3" }), "INVALID_ARGUMENT", /numberOfCopies and replicaCount/],
    ["unknown parameter", parameters({ colour: "red" }), "INVALID_ARGUMENT", /"colour"/],
    ["511 MiB", size(511 * MiB), "OUT_OF_RANGE", /required_bytes .* below the smallest volume, 512 MiB/],
    ["limit below the request", size(GiB, 600 * MiB), "OUT_OF_RANGE", /limit_bytes .* below required_bytes/],
    ["beyond every drive", size(3 * GiB), "RESOURCE_EXHAUSTED", /capacity_range 3 GiB: .*has room for .* in one piece, .* are needed/],
    ["beyond every number", create({ capacityRange: { requiredBytes: 2n ** 62n } }), "OUT_OF_RANGE", /required_bytes .* beyond every drive/],
    ["no capability", create({ volumeCapabilities: [] }), "INVALID_ARGUMENT", /volume_capabilities is missing/],
    ["mount and block", create({ volumeCapabilities: [MOUNT_XFS, BLOCK] }), "INVALID_ARGUMENT", /volume_capabilities: mount in one and block in another/],
    ["ReadWriteMany", create({ volumeCapabilities: [mode(Mode.MULTI_NODE_MULTI_WRITER)] }), "INVALID_ARGUMENT", /access_mode MULTI_NODE_MULTI_WRITER/],
    ["ntfs", create({ volumeCapabilities: [mount("ntfs")] }), "INVALID_ARGUMENT", /fs_type "ntfs"/],
    ["xfs and ext4", create({ volumeCapabilities: [MOUNT_XFS, mount("ext4")] }), "INVALID_ARGUMENT", /fs_type is xfs in one and ext4 in another/],
    ["no name", create({ name: "" }), "INVALID_ARGUMENT", /name is missing/],
    ...HOSTILE.map((name): Case<Create> => [`name ${JSON.stringify(name.slice(0, 20))}`, create({ name }), "INVALID_ARGUMENT", /name .* is not allowed/]),
  ];
  await refuseAll(cases, (request) => world.controller.csi().call(Controller, Controller.method.createVolume, request));
});

test("other calls of the controller: hostile and foreign ids", async () => {
  const csi = world.controller.csi();
  for (const volumeId of [...HOSTILE, "pvc-of-another-driver", "UPPER"]) {
    const get = await refusal(csi.call(Controller, Controller.method.controllerGetVolume, { volumeId }));
    assert.deepEqual([get.code, /volume_id/.test(get.message)], ["NOT_FOUND", true], get.message);
    const validate = await refusal(csi.call(Controller, Controller.method.validateVolumeCapabilities, { volumeId, volumeCapabilities: [MOUNT_XFS] }));
    assert.equal(validate.code, "NOT_FOUND", validate.message);
    // What cannot exist, or does not, is deleted already.
    assert.equal((await refusal(csi.call(Controller, Controller.method.deleteVolume, { volumeId }))).code, "OK");
  }
  assert.equal((await refusal(csi.call(Controller, Controller.method.deleteVolume, { volumeId: "" }))).code, "INVALID_ARGUMENT");
});

test("NodeStageVolume and NodePublishVolume of volumes that are there, with every bad argument", async () => {
  const [id, other] = [await createVolume(world, "pvc-good", { preferred: ["n1", "n2"] }), await createVolume(world, "pvc-other", { preferred: ["n1", "n2"] })];
  const node = world.node("n1");
  const { guest } = node;
  const csi = await node.csi();
  await guest.sh("mkdir -p /bad/folder /bad/tmpfs; echo mine >/bad/file; ln -sfn /etc /bad/link; mount -t tmpfs none /bad/tmpfs");
  await node.stage(other);
  const taken = node.stagingPath(other);
  const before = await everything();

  const stage = (change: Stage): Stage => ({ volumeId: id, stagingTargetPath: "/bad/folder", volumeCapability: MOUNT_XFS, ...change });
  const stageCases: Case<Stage>[] = [
    ["no id", stage({ volumeId: "" }), "INVALID_ARGUMENT", /volume_id is missing/],
    ["not ours", stage({ volumeId: "pvc-of-another-driver" }), "NOT_FOUND", /volume_id pvc-of-another-driver does not exist/],
    ...HOSTILE.map((volumeId): Case<Stage> => [`id ${volumeId.slice(0, 20)}`, stage({ volumeId }), "NOT_FOUND", /volume_id .* no such volume/]),
    ["no target", stage({ stagingTargetPath: "" }), "INVALID_ARGUMENT", /staging_target_path is missing/],
    ["relative target", stage({ stagingTargetPath: "relative/path" }), "INVALID_ARGUMENT", /staging_target_path "relative\/path" is not an absolute path/],
    ["target with ..", stage({ stagingTargetPath: "/x/../etc" }), "INVALID_ARGUMENT", /staging_target_path .* contains '\.' or '\.\.'/],
    ["target with a newline", stage({ stagingTargetPath: "/x\ny" }), "INVALID_ARGUMENT", /staging_target_path .* control character/],
    ["root as target", stage({ stagingTargetPath: "/" }), "INVALID_ARGUMENT", /staging_target_path .* root directory/],
    ["target is a file", stage({ stagingTargetPath: "/bad/file" }), "FAILED_PRECONDITION", /staging_target_path \/bad\/file is not a directory/],
    ["target is a link", stage({ stagingTargetPath: "/bad/link" }), "FAILED_PRECONDITION", /staging_target_path \/bad\/link is not a directory/],
    ["below a file", stage({ stagingTargetPath: "/bad/file/below" }), "FAILED_PRECONDITION", /staging_target_path \/bad\/file\/below/],
    ["target of another volume", stage({ stagingTargetPath: taken }), "FAILED_PRECONDITION", /staging_target_path .* is used by another mount/],
    ["target of another mount", stage({ stagingTargetPath: "/bad/tmpfs" }), "FAILED_PRECONDITION", /staging_target_path \/bad\/tmpfs is used by another mount \(tmpfs\)/],
    ["no capability", { volumeId: id, stagingTargetPath: "/bad/folder" }, "INVALID_ARGUMENT", /volume_capability is missing/],
    ["block", stage({ volumeCapability: BLOCK }), "INVALID_ARGUMENT", /volume_capability\.block/],
    ["ReadWriteMany", stage({ volumeCapability: mode(Mode.MULTI_NODE_MULTI_WRITER) }), "INVALID_ARGUMENT", /access_mode MULTI_NODE_MULTI_WRITER/],
    ["ext4", stage({ volumeCapability: mount("ext4") }), "INVALID_ARGUMENT", /volume_capability\.mount\.fs_type is ext4, volume pvc-good carries xfs/],
    ["ntfs", stage({ volumeCapability: mount("ntfs") }), "INVALID_ARGUMENT", /fs_type "ntfs"/],
    ["flag that changes what is mounted", stage({ volumeCapability: mount("xfs", ["bind"]) }), "INVALID_ARGUMENT", /mount_flags: "bind"/],
    ["flag with a comma", stage({ volumeCapability: mount("xfs", ["noatime,nouuid"]) }), "INVALID_ARGUMENT", /mount_flags: "noatime,nouuid"/],
  ];
  await refuseAll(stageCases, (request) => csi.call(Node, Node.method.nodeStageVolume, request));
  const untouched = (await world.volume(id))!;
  assert.deepEqual([untouched.status!.owner, untouched.status!.epoch], [undefined, undefined], "no epoch was begun");

  const publish = (change: Publish): Publish => ({ volumeId: other, stagingTargetPath: taken, targetPath: "/bad/pod", volumeCapability: MOUNT_XFS, ...change });
  const publishCases: Case<Publish>[] = [
    ["not staged", publish({ volumeId: id, stagingTargetPath: "/bad/folder" }), "FAILED_PRECONDITION", /volume pvc-good is not staged at \/bad\/folder/],
    ["staged elsewhere", publish({ stagingTargetPath: "/bad/folder" }), "FAILED_PRECONDITION", /volume pvc-other is not staged at \/bad\/folder/],
    ["another volume's staging path", publish({ volumeId: id }), "FAILED_PRECONDITION", /volume pvc-good is not staged at/],
    ["no staging path", publish({ stagingTargetPath: "" }), "FAILED_PRECONDITION", /staging_target_path is missing/],
    ["not ours", publish({ volumeId: "pvc-of-another-driver" }), "NOT_FOUND", /volume_id pvc-of-another-driver does not exist/],
    ["no target", publish({ targetPath: "" }), "INVALID_ARGUMENT", /target_path is missing/],
    ["relative target", publish({ targetPath: "pod" }), "INVALID_ARGUMENT", /target_path "pod" is not an absolute path/],
    ["target is a file", publish({ targetPath: "/bad/file" }), "FAILED_PRECONDITION", /target_path \/bad\/file is a file/],
    ["target of another mount", publish({ targetPath: "/bad/tmpfs" }), "FAILED_PRECONDITION", /target path \/bad\/tmpfs is used by another mount/],
    ["target within the staging path", publish({ targetPath: `${taken}/pod` }), "INVALID_ARGUMENT", /target_path .* lie one within the other/],
    ["block", publish({ volumeCapability: BLOCK }), "INVALID_ARGUMENT", /volume_capability\.block/],
  ];
  await refuseAll(publishCases, (request) => csi.call(Node, Node.method.nodePublishVolume, request));
  const stats = (volumeId: string, volumePath: string) => refusal(csi.call(Node, Node.method.nodeGetVolumeStats, { volumeId, volumePath }));
  for (const [volume, path, code] of [
    [id, taken, "NOT_FOUND"],
    [other, "/bad/folder", "NOT_FOUND"],
    [other, "relative", "NOT_FOUND"],
    ["../x", taken, "NOT_FOUND"],
    [other, "", "INVALID_ARGUMENT"],
    [other, taken, "OK"],
  ] as const)
    assert.equal((await stats(volume, path)).code, code, `stats of ${volume} at ${path}`);

  assert.equal(await everything(), before, "nothing came of any of it");
  assert.equal(await guest.sh("cat /bad/file; ls -A /bad; ls -A /bad/folder /bad/tmpfs | grep -v : || true"), "mine\nfile\nfolder\nlink\ntmpfs");
  await node.unstage(other);
  await guest.sh("umount /bad/tmpfs; rm -rf /bad; rm -rf /var/lib/kubelet/plugins/*");
  await deleteVolume(world, other);
  await deleteVolume(world, id);
});

test("ReadWriteOncePod: a second pod is refused while the first has the volume", async () => {
  const id = await createVolume(world, "pvc-rwop", { preferred: ["n1", "n2"] });
  const node = world.node("n1");
  const csi = await node.csi();
  await node.stage(id);
  const capability = mode(Mode.SINGLE_NODE_SINGLE_WRITER);
  await node.guest.sh("mkdir -p /pods/a /pods/b");
  const publish = (targetPath: string) =>
    refusal(csi.call(Node, Node.method.nodePublishVolume, { volumeId: id, stagingTargetPath: node.stagingPath(id), targetPath, volumeCapability: capability }));
  assert.equal((await publish("/pods/a/mount")).code, "OK");
  assert.equal((await publish("/pods/a/mount")).code, "OK", "repeated: the same pod");
  const second = await publish("/pods/b/mount");
  assert.deepEqual([second.code, /one pod at a time .* published at \/pods\/a\/mount/.test(second.message)], ["FAILED_PRECONDITION", true], second.message);
  assert.equal(await node.guest.sh("ls -A /pods/b"), "", "no folder is left of the refused one");
  await csi.call(Node, Node.method.nodeUnpublishVolume, { volumeId: id, targetPath: "/pods/a/mount" });
  assert.equal((await publish("/pods/b/mount")).code, "OK", "once the first pod is gone");
  await csi.call(Node, Node.method.nodeUnpublishVolume, { volumeId: id, targetPath: "/pods/b/mount" });
  await node.unstage(id);
  await node.guest.sh("rm -rf /pods; rm -rf /var/lib/kubelet/plugins/*");
  await deleteVolume(world, id);
});

test("what is not there is unstaged and unpublished already; a volume of other parameters is not the same", async () => {
  const csi = await world.node("n2").csi();
  for (const volumeId of ["pvc-of-another-driver", "pvc-rwop"]) {
    assert.equal((await refusal(csi.call(Node, Node.method.nodeUnstageVolume, { volumeId, stagingTargetPath: "/x" }))).code, "OK");
    assert.equal((await refusal(csi.call(Node, Node.method.nodeUnpublishVolume, { volumeId, targetPath: "/x" }))).code, "OK");
  }
  const bad = await refusal(csi.call(Node, Node.method.nodeUnstageVolume, { volumeId: "../x", stagingTargetPath: "/x" }));
  assert.equal(bad.code, "NOT_FOUND", bad.message);
  const id = await createVolume(world, "pvc-once");
  const { metadata } = (await world.volume(id))!;
  assert.equal(await createVolume(world, "pvc-once"), id, "the same again is the same volume");
  for (const change of [{ parameters: { numberOfCopies: "3" } }, { size: 600 * MiB }, { parameters: { memberMissingTimeout: "60" } }]) {
    const answer = await refusal(createVolume(world, "pvc-once", change));
    assert.equal(answer.code, "ALREADY_EXISTS", answer.message);
  }
  assert.equal((await world.volume(id))!.metadata.uid, metadata.uid);
  await deleteVolume(world, id);
});
