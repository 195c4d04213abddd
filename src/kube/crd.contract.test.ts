/** The CRDs before a real API server, and what people see with kubectl: `tools/node --test src/kube/crd.contract.test.ts`. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { applyYaml } from "../../lab/control-plane/objects.ts";
import { ControlPlane } from "../../lab/control-plane/control-plane.ts";
import { freePort } from "../../lab/control-plane/free-port.ts";
import { buildCrds } from "../api/crd.ts";
import type { DeviceStatus, MeshStorNodeDevice } from "../api/node-device.ts";
import { deviceSizeTexts } from "../api/node-device.ts";
import type { MeshStorVolume, VolumeSpec, VolumeStatus } from "../api/volume.ts";
import { createKubeClient, KubeError, type KubeClient } from "./client.ts";
import { loadKubeConfig } from "./config.ts";
import { DEVICES, VOLUMES } from "./resources.ts";
import { updateStatus } from "./update.ts";

const GiB = 1024 ** 3;
const folder = mkdtempSync(join(tmpdir(), "meshstor-crd-"));
let plane: ControlPlane;
let client: KubeClient;

function volume(name: string, spec: Partial<VolumeSpec> = {}): MeshStorVolume {
  const complete: VolumeSpec = { capacityBytes: GiB, numberOfCopies: 2, drivesPerCopy: 1, memberMissingTimeout: 900, fsType: "xfs", ...spec };
  return { apiVersion: "csi.meshstor.io/v1alpha1", kind: "MeshStorVolume", metadata: { name }, spec: complete };
}
async function make(name: string, status?: VolumeStatus, spec?: Partial<VolumeSpec>): Promise<MeshStorVolume> {
  const made = await client.create(VOLUMES, volume(name, spec));
  return status ? updateStatus(client, name, () => status) : made;
}
/** kubectl's table as rows of words, with ages cut to their shape. */
async function table(...args: string[]): Promise<string[][]> {
  const { stdout } = await plane.kubectl(["get", ...args]);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) =>
      line
        .trim()
        .split(/\s{2,}/)
        .map((cell) => cell.replace(/^\d+(s|m|m\d+s)$/, "<age>")),
    );
}
async function refusal(promise: Promise<unknown>): Promise<{ status: number; message: string }> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof KubeError, String(error));
    return { status: error.status, message: error.message };
  }
  throw new Error("was accepted");
}

before(async () => {
  plane = await ControlPlane.start({ dir: join(folder, "plane"), addresses: ["127.0.0.1"], port: await freePort(), dieWithStarter: true });
  const crds = buildCrds().map((crd) => readFileSync(resolve(import.meta.dirname, "../../deploy", `10-crd-${crd.spec.names.plural}.yaml`), "utf8"));
  await applyYaml(plane, crds.join("\n---\n"));
  client = createKubeClient(loadKubeConfig({ path: plane.kubeconfigPath }));
});
after(async () => {
  client?.close();
  await plane?.remove();
  rmSync(folder, { recursive: true, force: true });
});

const UPDATED = "2026-11-21T10:00:00Z";
const partition = (partitionUUID: string, nodeID: string, state: "Synced" | "Created") => ({
  partitionUUID,
  nodeID,
  drive: "S1:1",
  mirror: 0,
  state,
  sizeBytes: GiB,
  updatedAt: UPDATED,
});

describe("what people see", () => {
  test("the server fills in the defaults", async () => {
    await plane.kubectl(["apply", "-f", "-"], { stdin: JSON.stringify({ ...volume("defaults"), spec: { capacityBytes: GiB } }) });
    assert.deepEqual((await client.get(VOLUMES, "defaults")).spec, {
      capacityBytes: GiB,
      numberOfCopies: 2,
      drivesPerCopy: 1,
      memberMissingTimeout: 900,
      volumeMode: "Filesystem",
      fsType: "xfs",
    });
    await client.remove(VOLUMES, "defaults");
  });

  test("kubectl get msvol, and -o wide, as in the seeds", async () => {
    const degraded: VolumeStatus = {
      phase: "Synced",
      mdState: "degraded",
      syncPercentage: "",
      totalDevices: 2,
      activeDevices: 1,
      failedDevices: 0,
      downDevices: 1,
      ready: "1/2",
      degraded: 1,
      copies: 1,
      nodeName: "node-a",
    };
    const syncing: VolumeStatus = {
      phase: "Syncing",
      mdState: "recovering",
      syncPercentage: "45.2%",
      totalDevices: 2,
      activeDevices: 1,
      failedDevices: 0,
      downDevices: 0,
      ready: "1/2",
      degraded: 1,
      copies: 1,
      nodeName: "node-b",
    };
    await make("my-volume", degraded);
    await make("other-volume", syncing);
    assert.deepEqual(await table("msvol"), [
      ["NAME", "PHASE", "MDSTATE", "SYNC", "READY", "DEGRADED", "NODE", "AGE"],
      ["my-volume", "Synced", "degraded", "1/2", "1", "node-a", "<age>"],
      ["other-volume", "Syncing", "recovering", "45.2%", "1/2", "1", "node-b", "<age>"],
    ]);
    assert.deepEqual(await table("msvol", "-o", "wide"), [
      ["NAME", "PHASE", "MDSTATE", "TOTAL", "ACTIVE", "FAILED", "DOWN", "SYNC", "AGE", "READY", "DEGRADED", "NODE", "AGE"],
      ["my-volume", "Synced", "degraded", "2", "1", "0", "1", "<age>", "1/2", "1", "node-a", "<age>"],
      ["other-volume", "Syncing", "recovering", "2", "1", "0", "0", "45.2%", "<age>", "1/2", "1", "node-b", "<age>"],
    ]);
  });

  test("a volume without a status has empty columns, not <none>", async () => {
    await make("bare");
    assert.deepEqual((await table("msvol", "bare"))[1], ["bare", "<age>"]);
  });

  test("the seeds' jsonpath and category", async () => {
    await make("two-parts", { partitions: [partition("p-1", "node-a", "Synced"), partition("p-2", "node-b", "Created")] });
    const { stdout } = await plane.kubectl(["get", "msvol", "two-parts", "-o", 'jsonpath={range .status.partitions[*]}{.nodeID}{"\\t"}{.state}{"\\n"}{end}']);
    assert.equal(stdout, "node-a\tSynced\nnode-b\tCreated\n");
    assert.equal((await plane.kubectl(["get", "msvol", "two-parts", "-o", "jsonpath={.spec.memberMissingTimeout}"])).stdout, "900");
    assert.match((await plane.kubectl(["get", "meshstor", "-o", "name"])).stdout, /meshstorvolume\.csi\.meshstor\.io\/two-parts/);
  });

  test("kubectl get msnd", async () => {
    const sizes = { sizeBytes: 960_197_124_096, freeBytes: 500 * GiB, biggestHoleBytes: 300 * GiB };
    const status: DeviceStatus = {
      ...sizes,
      ...deviceSizeTexts(sizes),
      nodeName: "node-a",
      drive: "S123:1",
      device: "nvme0n1",
      model: "ACME X",
      serial: "S123",
      sectorSize: 512,
      holes: [{ startBytes: 0, sizeBytes: GiB }],
      freePartitionEntries: 100,
      localPartitions: 1,
      remotePartitions: 2,
      unknownPartitions: 3,
      writeZeroes: true,
      health: "Usable",
    };
    const device: MeshStorNodeDevice = { apiVersion: "csi.meshstor.io/v1alpha1", kind: "MeshStorNodeDevice", metadata: { name: "node-a-s123" }, spec: { use: "Auto" } };
    const made = await client.create(DEVICES, device);
    assert.deepEqual((await client.replaceStatus(DEVICES, { ...made, status })).status, status);
    assert.deepEqual(await table("msnd"), [
      ["NAME", "NODE", "MODEL", "SERIAL", "SIZE", "FREE", "BIGGESTHOLE", "SECTORSIZE", "LOCAL", "REMOTE", "UNKNOWN", "HEALTH"],
      ["node-a-s123", "node-a", "ACME X", "S123", "894.3GiB", "500GiB", "300GiB", "512", "1", "2", "3", "Usable"],
    ]);
    assert.deepEqual((await table("msnd", "-o", "wide"))[1]!.slice(11), ["nvme0n1", "Auto", "<age>", "Usable"]);
  });

  test("kubectl scale changes the number of copies, within bounds, and reads the status", async () => {
    await make("scaled", { copies: 2 });
    await plane.kubectl(["scale", "msvol/scaled", "--replicas=3"]);
    assert.equal((await client.get(VOLUMES, "scaled")).spec.numberOfCopies, 3);
    const scale = JSON.parse((await plane.kubectl(["get", "--raw", "/apis/csi.meshstor.io/v1alpha1/meshstorvolumes/scaled/scale"])).stdout) as { spec: unknown; status: unknown };
    assert.deepEqual([scale.spec, scale.status], [{ replicas: 3 }, { replicas: 2 }]);
    const refused = await plane.kubectl(["scale", "msvol/scaled", "--replicas=0"], { mayFail: true });
    assert.match(refused.stderr, /spec\.numberOfCopies/);
    // A current-replicas precondition works too.
    assert.notEqual((await plane.kubectl(["scale", "msvol/scaled", "--current-replicas=2", "--replicas=4"], { mayFail: true })).code, 0);
  });

  test("kubectl apply does not touch the status", async () => {
    const status: VolumeStatus = { phase: "Synced", epoch: 3, partitions: [partition("p-1", "node-a", "Synced")] };
    await make("applied", status);
    const manifest = { ...volume("applied", { numberOfCopies: 3 }), status: { phase: "New", epoch: 99 } };
    await plane.kubectl(["apply", "-f", "-"], { stdin: JSON.stringify(manifest) });
    const serverSide = { ...volume("applied", { numberOfCopies: 3, memberMissingTimeout: 600 }), status: { phase: "New", epoch: 99 } };
    await plane.kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], { stdin: JSON.stringify(serverSide) });
    const after = await client.get(VOLUMES, "applied");
    assert.deepEqual([after.spec.numberOfCopies, after.spec.memberMissingTimeout, after.status], [3, 600, status]);
  });
});

describe("what the server refuses", () => {
  const creations: [string, MeshStorVolume, RegExp][] = [
    ["a size that is no multiple of 1 MiB", volume("r1", { capacityBytes: GiB + 512 }), /spec\.capacityBytes.*multiple of 1 MiB/],
    ["a size below 512 MiB", volume("r2", { capacityBytes: 1024 ** 2 }), /spec\.capacityBytes.*greater than or equal to 536870912/],
    ["a sector size between the two", volume("r3", { sectorSize: 1024 }), /spec\.sectorSize.*must be 512 or 4096/],
    ["no copy", volume("r4", { numberOfCopies: 0 }), /spec\.numberOfCopies.*greater than or equal to 1/],
    ["a short timeout", volume("r5", { memberMissingTimeout: 59 }), /spec\.memberMissingTimeout.*greater than or equal to 60/],
    ["a name that device-mapper cannot carry", volume("x".repeat(119)), /at most 118 characters/],
  ];
  for (const [what, object, words] of creations) {
    test(what, async () => {
      const { status, message } = await refusal(client.create(VOLUMES, object));
      assert.equal(status, 422);
      assert.match(message, words);
    });
  }

  test("what cannot be changed on a volume that exists", async () => {
    const made = await make("fixed", undefined, { sectorSize: 4096, drivesPerCopy: 2, requestedName: "Fixed" });
    const { sectorSize: _gone, ...without } = made.spec;
    const changes: [VolumeSpec, RegExp][] = [
      [{ ...made.spec, capacityBytes: GiB / 2 }, /a volume cannot shrink/],
      [{ ...made.spec, drivesPerCopy: 1 }, /spec\.drivesPerCopy.*cannot be changed/],
      [{ ...made.spec, sectorSize: 512 }, /spec\.sectorSize.*cannot be changed/],
      [without, /sectorSize cannot be added to or removed/],
      [{ ...made.spec, requestedName: "fixed" }, /spec\.requestedName.*cannot be changed/],
    ];
    for (const [spec, words] of changes) assert.match((await refusal(client.replace(VOLUMES, { ...made, spec }))).message, words);
    const grown = await client.replace(VOLUMES, { ...made, spec: { ...made.spec, capacityBytes: 2 * GiB, numberOfCopies: 3 } });
    assert.equal(grown.spec.capacityBytes, 2 * GiB);
  });

  test("a record that goes back in time", async () => {
    const owner = { nodeName: "node-a", nodeUID: "u", bootID: "b", since: UPDATED, start: "First" as const };
    const mirror = { index: 0, arrayUUID: "a", created: true, generation: 5, inSync: ["p-1", "p-2"] };
    const status: VolumeStatus = { epoch: 4, owner, mirrors: [mirror], filesystem: { uuid: "f", formattedAt: UPDATED } };
    const made = await make("record", status);
    const changes: [VolumeStatus | undefined, RegExp][] = [
      [{ ...status, epoch: 3 }, /an epoch never goes back/],
      [{ owner, mirrors: [mirror], filesystem: status.filesystem! }, /an epoch never goes back/],
      [{ ...status, owner: { ...owner, nodeUID: "other" } }, /an owner comes only with a higher epoch/],
      [{ ...status, mirrors: [{ ...mirror, generation: 4 }] }, /a generation never goes back/],
      [{ ...status, mirrors: [{ ...mirror, inSync: ["p-1"] }] }, /inSync changes only with a higher generation/],
      [{ ...status, mirrors: [{ ...mirror, arrayUUID: "b" }] }, /a mirror keeps its array/],
      [{ ...status, mirrors: [] }, /a mirror's record is never removed/],
      [{ ...status, mirrors: [{ ...mirror, index: 1 }] }, /a mirror's record is never removed/],
      [{ ...status, mirrors: [mirror, { ...mirror }] }, /Duplicate value/],
      [{ ...status, mirrors: [{ ...mirror, generation: 6, inSync: ["p-1", "p-1"] }] }, /Duplicate value/],
      [{ ...status, filesystem: { uuid: "g", formattedAt: UPDATED } }, /a formatted volume stays formatted/],
      [{ ...status, filesystem: { uuid: "f" } }, /a formatted volume stays formatted/],
      [undefined, /the status is the volume's record/],
    ];
    for (const [changed, words] of changes) {
      const { status: _old, ...rest } = made;
      const { status: code, message } = await refusal(client.replaceStatus(VOLUMES, changed ? { ...rest, status: changed } : rest));
      assert.equal(code, 422, message);
      assert.match(message, words);
    }
    const { owner: _released, ...released } = status;
    await updateStatus(client, "record", () => released);
    assert.match((await refusal(updateStatus(client, "record", (v) => ({ ...v.status, owner })))).message, /an owner comes only with a higher epoch/);
    const claimed = await updateStatus(client, "record", (v) => ({ ...v.status, owner, epoch: 5, mirrors: [{ ...mirror, generation: 6, inSync: ["p-2"] }] }));
    assert.deepEqual(claimed.status, { ...status, epoch: 5, mirrors: [{ ...mirror, generation: 6, inSync: ["p-2"] }] });
  });

  test("a status field that the CRD does not know is noticed", async () => {
    await make("unknown-field");
    await assert.rejects(
      updateStatus(client, "unknown-field", () => ({ phase: "New", surprise: 1 }) as VolumeStatus),
      {
        name: "MeshStorError",
        code: "Unsafe",
        message: "the API server did not keep status.surprise of volume unknown-field as written: the CustomResourceDefinition in the cluster is not the one of this program.",
      },
    );
  });
});
