import assert from "node:assert/strict";
import { test } from "node:test";
import type { Mount } from "./observed.ts";
import { planPublish, planUnpublish } from "./plan-publish.ts";

const at = (target: string, device = "dm-7", readOnly = false): Mount => ({ target, device, fsType: "xfs", readOnly, root: "/", shutDown: false });
const XFS = { fsType: "xfs" as const };
const staged = at("/stage");
const request = { volumeID: "v1", stagingPath: "/stage", targetPath: "/pod-b", readOnly: false, exclusive: false };

test("a staged volume is mounted at the target, once", () => {
  assert.deepEqual(planPublish([staged], "dm-7", XFS, request).action, { kind: "MountPublish", source: "/stage", target: "/pod-b", readOnly: false, why: "published to a pod" });
  assert.deepEqual(planPublish([staged, at("/pod-b")], "dm-7", XFS, request), { action: null, refusal: null });
});

test("refused: not staged, target of another mount, other mode than the mount that is there", () => {
  const cases: [Mount[], string | null, string, RegExp][] = [
    [[], "dm-7", "NotStaged", /^volume v1 is not staged at \/stage$/],
    [[staged], null, "NotStaged", /^volume v1 is not staged at \/stage$/],
    [[at("/stage", "dm-8")], "dm-7", "NotStaged", /not staged/],
    [[staged, at("/pod-b", "dm-8")], "dm-7", "TargetInUse", /target path \/pod-b is used by another mount \(dm-8\)/],
    [[staged, at("/pod-b", "dm-7", true)], "dm-7", "VolumeIncompatible", /published at \/pod-b read-only already/],
  ];
  for (const [mounts, device, code, message] of cases) {
    const { action, refusal } = planPublish(mounts, device, XFS, request);
    assert.deepEqual([action, refusal?.code], [null, code]);
    assert.match(refusal!.message, message);
  }
});

test("ReadWriteOncePod: a second target is refused while the first is mounted, the first is not", () => {
  const exclusive = { ...request, exclusive: true };
  assert.equal(planPublish([staged], "dm-7", XFS, exclusive).action?.kind, "MountPublish");
  const { action, refusal } = planPublish([staged, at("/pod-a")], "dm-7", XFS, exclusive);
  assert.deepEqual([action, refusal?.code], [null, "TargetInUse"]);
  assert.equal(refusal!.message, "volume v1 is for one pod at a time (ReadWriteOncePod) and is published at /pod-a");
  // Repeated by kubelet after a restart; a subPath of the pod is bound from its target.
  assert.deepEqual(planPublish([staged, at("/pod-b"), at("/subpaths/0")], "dm-7", XFS, exclusive), { action: null, refusal: null });
  // Another volume's mounts do not count.
  assert.equal(planPublish([staged, at("/pod-a", "dm-8")], "dm-7", XFS, exclusive).action?.kind, "MountPublish");
});

test("unpublished until nothing is mounted at the target", () => {
  assert.equal(planUnpublish([staged, at("/pod-b"), at("/pod-b")], "/pod-b")?.kind, "UnmountPublish");
  assert.equal(planUnpublish([staged], "/pod-b"), null);
});
