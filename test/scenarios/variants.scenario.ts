/**
 * The same short life of a volume – provisioned, mounted, a provider lost and regained under load, unmounted, deleted –
 * without native NVMe multipath, over IPv6, and on drives with sectors of 4096 bytes. One small world each.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import { arrays, dataChecksum, recorded, traces } from "../../lab/world/inspect.ts";
import { createVolume, deleteVolume, untilHealthy } from "../../lab/world/volumes.ts";
import { checkRecords, Writer } from "../../lab/world/writer.ts";
import { World, type WorldSpec } from "../../lab/world/world.ts";

const GiB = 1024 ** 3;
const [HOME, PROVIDER] = ["n1", "n2"] as const;

interface Variant {
  readonly name: string;
  readonly spec: WorldSpec;
  readonly parameters?: Readonly<Record<string, string>>;
  /** Proves on the kernels that the variant engaged, while the volume is mounted. */
  readonly engaged: (world: World, volume: MeshStorVolume) => Promise<void>;
}

const two = (more: { cmdline?: string; sectorSize?: 512 | 4096 }) =>
  [HOME, PROVIDER].map((name) => ({
    name,
    drives: [{ size: GiB, ...(more.sectorSize ? { sectorSize: more.sectorSize } : {}) }],
    ...(more.cmdline ? { cmdline: more.cmdline } : {}),
  }));
/** The remote member's own numbers, as the provider's configfs has them. */
const remoteOf = (volume: MeshStorVolume) => volume.status!.partitions!.find((p) => p.nodeID === PROVIDER)!;

const VARIANTS: readonly Variant[] = [
  {
    name: "native NVMe multipath off",
    spec: { nodes: two({ cmdline: "nvme_core.multipath=N" }) },
    engaged: async (world) => {
      for (const name of [HOME, PROVIDER]) assert.equal(await world.lab.guest(name).sh("cat /sys/module/nvme_core/parameters/multipath"), "N");
      assert.equal(await world.lab.guest(HOME).sh("ls -d /sys/class/nvme-subsystem/*/nvme*c*n* 2>/dev/null || true"), "", "no namespace has paths of its own");
    },
  },
  {
    name: "storage network of IPv6",
    spec: { nodes: two({}), family: "ipv6" },
    engaged: async (world, volume) => {
      const { export: e } = remoteOf(volume);
      assert.match(e!.address, /^[0-9a-f]*:[0-9a-f:]+$/);
      const port = await world.lab
        .guest(PROVIDER)
        .sh(`for p in /sys/kernel/config/nvmet/ports/*; do [ "$(cat $p/addr_trsvcid)" = 4420 ] && cat $p/addr_adrfam $p/addr_traddr; done; true`);
      assert.equal(port, `ipv6\n${e!.address}`);
      assert.match(await world.lab.guest(HOME).sh("cat /sys/class/nvme/nvme*/address"), new RegExp(`traddr=${e!.address},trsvcid=4420`));
    },
  },
  {
    name: "sectors of 4096 bytes",
    spec: { nodes: two({ sectorSize: 4096 }) },
    parameters: { sectorSize: "4096" },
    engaged: async (world, volume) => {
      const guest = world.lab.guest(HOME);
      const sizes = await guest.sh(`cat /sys/block/nvme*n1/queue/logical_block_size /sys/block/md*/queue/logical_block_size /sys/block/dm-*/queue/logical_block_size | sort -u`);
      assert.equal(sizes, "4096", "drives, import, mirror, windows and volume");
      assert.match(await guest.sh(`xfs_info /dev/mapper/meshstor-${volume.metadata.name}`), /sectsz=4096/);
      assert.deepEqual(new Set((await world.devices()).map((d) => d.status!.sectorSize)), new Set([4096]));
    },
  },
];

async function life(world: World, variant: Variant): Promise<number> {
  const id = await createVolume(world, "pvc-variant", { preferred: [HOME], ...(variant.parameters ? { parameters: variant.parameters } : {}) });
  const file = `${await world.node(HOME).mount(id)}/records`;
  await untilHealthy(world, id);
  const before = (await world.volume(id))!;
  await variant.engaged(world, before);

  const writer = await Writer.start(world.lab, world.lab.guest(HOME), file);
  await writer.progress(50, 60);
  const from = writer.acks().length;
  await world.powerOff(PROVIDER);
  await writer.progress(100, 60);
  const pause = writer.longestPause(from);
  assert.ok(pause > 500, `the power cut engaged: a pause was seen (${pause} ms)`);
  await world.untilVolume(id, "is degraded", 30, (v) => v.status?.mdState === "degraded" || `${v.status?.mdState}`);
  await world.powerOn(PROVIDER);
  await untilHealthy(world, id);
  const healed = (await world.volume(id))!;
  assert.ok(remoteOf(healed).export!.attach > remoteOf(before).export!.attach, "it came back under a new attach number");
  await variant.engaged(world, healed);
  const [array] = await arrays(world.lab.guest(HOME));
  assert.deepEqual([array!.raidDisks, array!.degraded, array!.members.map((m) => m.flags).sort()], [2, 0, ["in_sync", "in_sync,write_mostly"]]);
  await writer.stop();
  assert.deepEqual(writer.errors(), [], "the application met no error");
  await checkRecords(world.lab, world.lab.guest(HOME), file, writer.acks().length);

  await world.node(HOME).unmount(id);
  const sums = await Promise.all(recorded((await world.volume(id))!).map((p) => dataChecksum(world.lab.guest(p.nodeID), p)));
  assert.deepEqual([sums.length, new Set(sums).size], [2, 1], "members are identical");
  await deleteVolume(world, id);
  for (const name of world.names) assert.deepEqual(await traces(world.lab.guest(name)), [], `nothing is left on ${name}`);
  return pause;
}

for (const variant of VARIANTS) {
  test(variant.name, async (t) => {
    const world = await World.up(variant.spec);
    try {
      const pause = await life(world, variant);
      t.diagnostic(`longest pause ${pause} ms`);
    } finally {
      await world.down();
    }
  });
}
