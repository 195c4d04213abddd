/** Drives that lose their volatile cache with their power: what was acknowledged and not flushed is gone from one member (I5). */
import { VolatileCache } from "../../../lab/guest/volatile-cache.ts";
import { readRecord } from "../../../lab/state.ts";
import { sleep } from "../../../lab/world/wait.ts";
import { driveOf } from "../drive-of.ts";
import type { Fault } from "../fault.ts";
import type { Stage } from "../stage.ts";

/** Long enough for MD to clear bits of its bitmap (every 5 s) behind writes that nobody flushed. */
const UNFLUSHED_MS = 20_000;

/** Cuts a node's power; its drive of the first mirror forgets what was not flushed. */
async function cutWithCache(stage: Stage, node: string): Promise<void> {
  const guest = stage.guest(node);
  const index = await driveOf(stage, node);
  const drive = readRecord(stage.world.lab.id)!.nodes.find(({ name }) => name === node)!.drives[index]!;
  const cache = await VolatileCache.on(guest, index, drive);
  stage.say(`drive ${index} of ${node} has a volatile cache now`);
  await writeUnflushed(stage);
  stage.duty.writer.pause();
  await sleep(UNFLUSHED_MS);
  stage.begin(`power of ${node} is cut, and its drive forgets`);
  const lost = await cache.powerOff(() => stage.powerOff(node));
  if (node === stage.other) stage.duty.writer.resume();
  if (lost > 0) stage.engaged(`${node}'s drive lost ${lost} acknowledged bytes that were not flushed`);
  else throw new Error(`${node}'s drive had nothing in its cache`);
}

/** Blocks written over and over by O_DIRECT, which alone never flushes, until the volume ends. */
async function writeUnflushed(stage: Stage): Promise<void> {
  const { node } = stage.duty;
  const file = `${stage.world.node(node).targetPath(stage.id)}/unflushed`;
  await stage.guest(node).sh(`dd if=/dev/urandom of=${file} bs=64k count=16 conv=fsync status=none`);
  const script = `while dd if=/dev/urandom of=${file} bs=64k count=16 oflag=direct conv=notrunc status=none; do sleep 0.05; done`;
  await stage.helper(node, ["sh", "-c", script]);
}

export const CACHE: readonly Fault[] = [
  {
    name: "provider-cache-lost",
    title: "The provider loses power, and its drive what it had acknowledged and not flushed.",
    only: "process",
    run: async (stage) => {
      await cutWithCache(stage, stage.other);
      await stage.untilOut(stage.other);
      await stage.progress(50);
      await stage.world.powerOn(stage.other);
    },
  },
  {
    name: "owner-cache-lost-taken",
    title: "The owner loses power, and its drive what it had acknowledged and not flushed; another node takes over; it returns.",
    only: "process",
    run: async (stage) => {
      await cutWithCache(stage, stage.home);
      await stage.outOfService(stage.home, true);
      await stage.takeOver(stage.other);
      await stage.world.powerOn(stage.home);
      await stage.outOfService(stage.home, false);
    },
  },
];
