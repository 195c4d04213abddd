import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { exportNQN, hostNQN, windowUUID } from "../api/names.ts";
import { ROOTS } from "./files.ts";
import { controllersLive, degraded, observeHost } from "./observe.ts";
import { parseSyncCompleted } from "./observe-dm.ts";

const rootsBefore = { ...ROOTS };
let root = "";

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), `${text}\n`);
}
function link(path: string, target: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
}
/** A disk under /sys/block and /sys/class/block, with its attributes. */
function disk(name: string, attributes: Record<string, string>): void {
  for (const [key, value] of Object.entries({ size: "2048", ro: "0", ...attributes })) put(`sys/block/${name}/${key}`, value);
  for (const dir of ["holders", "slaves"]) mkdirSync(join(root, `sys/block/${name}/${dir}`), { recursive: true });
  link(`sys/class/block/${name}`, `../../block/${name}`);
}
const uuid = (n: number): string => `${String(n).padStart(8, "0")}-aaaa-4bbb-8ccc-000000000000`;

/** A local drive as PCIe shows it (no multipath), one import behind a hidden path device, and an export. */
function machine(): void {
  put("proc/sys/kernel/random/boot_id", "b-o-o-t");
  disk("nvme0n1", {
    nsid: "1",
    "queue/logical_block_size": "512",
    "queue/write_zeroes_max_bytes": "131072",
    "device/serial": "S1  ",
    "device/model": "Fast",
    "device/subsysnqn": "nqn.maker:S1",
    "device/transport": "pcie",
  });
  put("sys/class/nvme/nvme0/subsysnqn", "nqn.maker:S1");
  put("sys/class/nvme/nvme0/state", "live");
  put("sys/class/nvme/nvme0/transport", "pcie");
}

/** Volume `n`: an import with native multipath, its window, a local window, a mirror of both, the volume device. */
function volume(n: number): void {
  const nqn = exportNQN({ partitionUUID: uuid(n), epoch: 3, attach: 2 });
  const [ctrl, head] = [`nvme${n + 10}`, `nvme${n + 500}n1`];
  const path = `nvme${n + 500}c${n + 10}n1`;
  put(`sys/class/nvme/${ctrl}/subsysnqn`, nqn);
  put(`sys/class/nvme/${ctrl}/state`, "connecting");
  put(`sys/class/nvme/${ctrl}/transport`, "tcp");
  mkdirSync(join(root, `sys/class/nvme/${ctrl}/${path}`));
  disk(head, { "device/subsysnqn": nqn, nsid: "1", "device/serial": "x", "queue/logical_block_size": "512" });
  disk(path, { hidden: "1" });
  const [local, remote, vol, md] = [`dm-${3 * n}`, `dm-${3 * n + 1}`, `dm-${3 * n + 2}`, `md_ms${n}`];
  window(local, uuid(n + 1000), 3, null);
  window(remote, uuid(n), 3, head);
  put(`sys/block/${remote}/stat`, "5 0 40 1 6 0 48 1 3 1 1 0 0 0 0 1 0");
  disk(vol, { "dm/uuid": `MESHSTOR-VOLUME-vol${n}`, "dm/name": `meshstor-v${n}`, "dm/suspended": "0" });
  put(`sys/block/${vol}/slaves/${md}`, "");
  mirror(md, [local, remote], vol);
}

function window(name: string, member: string, epoch: number, below: string | null): void {
  disk(name, { "dm/uuid": windowUUID(member, epoch), "dm/name": `msmember-${member}`, "dm/suspended": "0" });
  put(`sys/block/${name}/slaves/${below ?? "nvme9n9p1"}`, "");
}

function mirror(md: string, members: string[], holder: string): void {
  const attributes = {
    array_state: "active",
    uuid: uuid(77),
    raid_disks: "2",
    degraded: "1",
    sync_action: "recover",
    sync_completed: "1024 / 2048",
    sync_speed: "5000",
    "bitmap/location": "+8",
  };
  disk(md, Object.fromEntries(Object.entries(attributes).map(([key, value]) => [`md/${key}`, value])));
  members.forEach((m, slot) => {
    put(`sys/block/${md}/slaves/${m}`, "");
    put(`sys/block/${md}/md/dev-${m}/state`, slot === 0 ? "in_sync" : "spare,write_mostly");
    put(`sys/block/${md}/md/dev-${m}/slot`, slot === 0 ? "0" : "none");
  });
  put(`sys/block/${md}/holders/${holder}`, "");
}

function exportOf(n: number): string {
  const nqn = exportNQN({ partitionUUID: uuid(n), epoch: 4, attach: 1 });
  const at = `sys/kernel/config/nvmet/subsystems/${nqn}`;
  put(`${at}/namespaces/1/device_path`, "/dev/nvme0n1p1");
  put(`${at}/namespaces/1/enable`, "1");
  link(`${at}/allowed_hosts/${hostNQN("u")}`, "x");
  link(`sys/kernel/config/nvmet/ports/20250/subsystems/${nqn}`, "x");
  put("sys/kernel/config/nvmet/subsystems/nqn.other/namespaces/1/device_path", "/dev/sdz");
  return nqn;
}

before(() => {
  root = mkdtempSync(join(tmpdir(), "observe-"));
  Object.assign(ROOTS, { sys: `${root}/sys`, proc: `${root}/proc`, configfs: `${root}/sys/kernel/config`, debugfs: `${root}/debug`, dev: `${root}/dev` });
});
after(() => {
  Object.assign(ROOTS, rootsBefore);
  rmSync(root, { recursive: true });
});

test("a machine with one drive, one import and one export", async () => {
  machine();
  volume(1);
  const nqn = exportOf(5);
  put("proc/self/mountinfo", "40 36 254:5 / /stage rw - xfs /dev/mapper/meshstor-v1 rw\n41 36 0:5 / /proc rw - proc proc rw");
  link("sys/dev/block/254:5", "../../devices/virtual/block/dm-5");
  const s = await observeHost();
  assert.deepEqual(
    { ...s, takenAtMs: 0 },
    {
      bootID: "b-o-o-t",
      takenAtMs: 0,
      drives: [{ id: "S1:1", device: "nvme0n1", model: "Fast", serial: "S1", sizeBytes: 1_048_576, sectorSize: 512, readOnly: false, writeZeroes: true }],
      partitions: [],
      exports: [{ nqn, partitionUUID: uuid(5), epoch: 4, attach: 1, devicePath: "/dev/nvme0n1p1", enabled: true, allowedHosts: [hostNQN("u")], ports: ["20250"] }],
      connections: [
        {
          controller: "nvme11",
          nqn: exportNQN({ partitionUUID: uuid(1), epoch: 3, attach: 2 }),
          partitionUUID: uuid(1),
          epoch: 3,
          attach: 2,
          state: "connecting",
          device: "nvme501n1",
          sizeBytes: 1_048_576,
        },
      ],
      windows: [
        { device: "dm-3", name: `msmember-${uuid(1001)}`, partitionUUID: uuid(1001), epoch: 3, below: null, sizeBytes: 1_048_576, suspended: false, inflight: 0, completed: 0 },
        { device: "dm-4", name: `msmember-${uuid(1)}`, partitionUUID: uuid(1), epoch: 3, below: "nvme501n1", sizeBytes: 1_048_576, suspended: false, inflight: 3, completed: 12 },
      ],
      mirrors: [
        {
          device: "md_ms1",
          arrayUUID: uuid(77),
          arrayState: "active",
          raidDisks: 2,
          degraded: 1,
          syncAction: "recover",
          syncCompleted: { done: 1024, total: 2048 },
          syncSpeedKiB: 5000,
          hasBitmap: true,
          sizeBytes: 1_048_576,
          members: [
            { device: "dm-3", partitionUUID: uuid(1001), flags: ["in_sync"], slot: 0 },
            { device: "dm-4", partitionUUID: uuid(1), flags: ["spare", "write_mostly"], slot: null },
          ],
          holders: ["dm-5"],
        },
      ],
      volumeDevices: [
        { device: "dm-5", name: "meshstor-v1", volumeUID: "vol1", sizeBytes: 1_048_576, below: ["md_ms1"], suspended: false, suspending: false, failed: false, guarded: null },
      ],
      mounts: [
        { target: "/stage", device: "dm-5", fsType: "xfs", readOnly: false, root: "/", shutDown: false },
        { target: "/proc", device: "", fsType: "proc", readOnly: false, root: "/", shutDown: false },
      ],
      stranded: 0,
    },
  );
  assert.deepEqual([await controllersLive(["nvme0"]), await controllersLive(["nvme0", "nvme11"]), await controllersLive(["nvme99"])], [true, false, false]);
  assert.deepEqual(await degraded(["md_ms1", "md_gone"]), [1, 0]);
});

test("fifty volumes are seen in one pass of bounded cost", async () => {
  for (let n = 2; n <= 50; n += 1) volume(n);
  await observeHost();
  const cpu = process.cpuUsage();
  const s = await observeHost();
  const { user, system } = process.cpuUsage(cpu);
  const ms = Math.round((user + system) / 1000);
  assert.deepEqual([s.windows.length, s.mirrors.length, s.connections.length, s.volumeDevices.length], [100, 50, 50, 50]);
  assert.ok(ms < 5_000, `${ms} ms of CPU`);
});

test("progress of a resync as MD prints it", () => {
  assert.deepEqual(["1024 / 2048", "none", "delayed", "pending", null].map(parseSyncCompleted), [{ done: 1024, total: 2048 }, null, null, null, null]);
});
