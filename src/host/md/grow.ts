/** A mirror that uses more of its members (mdadm(8), --grow --size). */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { node, sizeOf } from "../block.ts";
import { readSuperblock } from "./raw.ts";
import { letGoOn } from "./resync-start.ts";
import { mdadm } from "./tool.ts";
import { runningArray } from "./verify.ts";

/**
 * --assume-clean: what is added reads as zeroes on every member (I7), so nothing is copied. mdadm freezes the array for it,
 * makes the superblocks' sizes fit, and the kernel keeps the bitmap where it is, with a coarser chunk if it must
 * (Linux raid1.c, raid1_resize; md-bitmap.c, __bitmap_resize). Grown already is success.
 */
export async function growMirror(action: Extract<HostAction, { kind: "GrowMirror" }>): Promise<void> {
  const { device, sizeBytes } = action;
  if ((await sizeOf(device)) >= sizeBytes) return;
  await letGoOn(device);
  const before = await runningArray(device);
  const unfit = before.members.find((m) => !m.flags.includes("in_sync") || m.flags.includes("faulty"));
  if (unfit || before.syncAction !== "idle") throw new MeshStorError("Unsafe", `array ${device} is not at rest: it does not grow now`);
  await mdadm(["--grow", node(device), `--size=${sizeBytes / 1024}`, "--assume-clean"], { lane: device });
  const size = await sizeOf(device);
  if (size !== sizeBytes) throw new MeshStorError("CommandFailed", `array ${device} has ${size} bytes after mdadm --grow, wanted ${sizeBytes}`);
  // A start from any one of them finds the array in this size.
  for (const m of before.members) {
    const reading = await readSuperblock(m.device);
    if (!reading.ok || reading.superblock.sizeBytes !== sizeBytes)
      throw new MeshStorError("Unsafe", `member ${m.device} of ${device} does not say ${sizeBytes} bytes on its disk after mdadm --grow`);
  }
  if (!(await runningArray(device)).hasBitmap) throw new MeshStorError("Unsafe", `array ${device} has no write-intent bitmap (I5)`);
}
