/** Host actions of growth in the model: what is bigger than what lies below it, or is used before it reads as zeroes, breaks a rule. */
import { MD_DATA_OFFSET, PARTITION_OVERHEAD } from "../../base/layout.ts";
import { MiB } from "../../base/units.ts";
import type { HostAction } from "../action.ts";
import { arrayOf, quiet } from "./host-mirror.ts";
import { specOf } from "./kind.ts";
import { flush, pathOf } from "./md.ts";
import type { ArrayState, NodeState, Part, World } from "./world.ts";
import { clockOf, hostError, statusOf, violated } from "./world.ts";

type Steps = Generator<void, void>;
type Of<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;
type GrowthKind = "GrowPartition" | "ZeroExtension" | "GrowWindow" | "GrowMirror" | "GrowVolumeDevice" | "GrowFilesystem";

export function* applyGrowth(w: World, n: NodeState, action: Of<GrowthKind>): Steps {
  switch (action.kind) {
    case "GrowPartition":
      return growPartition(n, action);
    case "ZeroExtension":
      return yield* zeroExtension(w, n, action);
    case "GrowWindow":
      return growWindow(w, n, action);
    case "GrowMirror":
      return yield* growMirror(w, n, action);
    case "GrowVolumeDevice": {
      const device = n.volumeDevice;
      if (!device) throw hostError("CommandFailed", "there is no volume device");
      if (action.sizeBytes > device.below.reduce((sum, a) => sum + a.sizeBytes, 0)) violated("growth", "the volume device is bigger than its mirrors");
      if (action.notAfterMs !== null && clockOf(w, n) > action.notAfterMs) throw hostError("Unsafe", "the proof that this node is the owner is too old");
      // It waits for requests under way, not for a member that is only silent.
      if (!device.below.every((array) => flush(w, array))) throw hostError("CommandTimedOut", "requests are under way");
      // As the kernel has it: the resume with the new table ends whatever suspend there is.
      device.suspended = false;
      device.sizeBytes = action.sizeBytes;
      return;
    }
    case "GrowFilesystem":
      if ((n.volumeDevice?.sizeBytes ?? 0) < action.sizeBytes) throw hostError("Unsafe", "the device has not grown");
      if (n.volumeDevice?.suspended) throw hostError("CommandTimedOut", "the filesystem waits: the volume is suspended");
  }
}

function partOf(n: NodeState, uuid: string): { part: Part; others: Part[] } {
  const drive = n.drives.find((d) => d.present && d.parts.some((p) => p.uuid === uuid));
  if (!drive) throw hostError("CommandFailed", `partition ${uuid} is not there`);
  return { part: drive.parts.find((p) => p.uuid === uuid)!, others: drive.parts.filter((p) => p.uuid !== uuid) };
}

function growPartition(n: NodeState, action: Of<"GrowPartition">): void {
  const { part, others } = partOf(n, action.partitionUUID);
  const end = part.startBytes + action.toBytes;
  if (others.some((p) => p.startBytes < end && part.startBytes < p.startBytes + p.sizeBytes)) throw hostError("Unsafe", `there is no room behind partition ${part.uuid}`);
  if (action.toBytes < part.sizeBytes) violated("growth", `partition ${part.uuid} is made smaller`);
  part.sizeBytes = action.toBytes;
}

function* zeroExtension(w: World, n: NodeState, action: Of<"ZeroExtension">): Steps {
  const check = (): Part => {
    const { part } = partOf(n, action.partitionUUID);
    for (const host of w.nodes)
      for (const win of host.windows)
        if (win.part === part && MiB + win.sizeBytes > action.fromBytes) violated("I7", `what a window of node ${host.name} shows of ${part.uuid} is zeroed`);
    if (action.toBytes > part.sizeBytes) throw hostError("Unsafe", `partition ${part.uuid} has not grown`);
    return part;
  };
  check();
  yield;
  const part = check();
  if (action.fromBytes <= part.zeroedBytes) part.zeroedBytes = Math.max(part.zeroedBytes, action.toBytes);
}

function growWindow(w: World, n: NodeState, action: Of<"GrowWindow">): void {
  const win = n.windows.find((x) => x.uuid === action.partitionUUID);
  if (!win) throw hostError("CommandFailed", `member ${action.partitionUUID} has no window`);
  if (pathOf(win) !== "live" || w.rng.chance(w.trouble)) throw hostError("CommandTimedOut", `member ${action.partitionUUID} does not answer`);
  if (win.part.sizeBytes < MiB + action.sizeBytes) throw hostError("Unsafe", `partition ${win.uuid} is too small for its window`);
  win.sizeBytes = Math.max(win.sizeBytes, action.sizeBytes);
}

function* growMirror(w: World, n: NodeState, action: Of<"GrowMirror">): Steps {
  const array = arrayOf(n, action.device);
  if (array.sizeBytes >= action.sizeBytes) return;
  checkRecorded(w, array, action.sizeBytes);
  if (array.recovering || array.members.some((m) => m.faulty || !m.inSync)) throw hostError("Unsafe", `${action.device} is not at rest`);
  quiet(w, array);
  for (const m of array.members) {
    if (m.window.sizeBytes < MD_DATA_OFFSET + action.sizeBytes) throw hostError("CommandFailed", `member ${m.window.uuid} is too small`);
    if (m.window.part.zeroedBytes < PARTITION_OVERHEAD + action.sizeBytes) violated("I7", `member ${m.window.uuid} is grown into what was not zeroed`);
  }
  array.sizeBytes = action.sizeBytes;
  // The superblocks are written one after the other; a member that is lost meanwhile has the old size.
  for (const m of array.members) {
    if (m.window.part.superblock && pathOf(m.window) === "live" && !m.faulty) m.window.part.superblock.sizeBytes = action.sizeBytes;
    yield;
    if (!n.arrays.includes(array)) return;
  }
}

/** The record comes first: nothing is built by a size that it does not have. */
function checkRecorded(w: World, array: ArrayState, sizeBytes: number): void {
  if (sizeBytes * specOf(w).drivesPerCopy > (statusOf(w).sizeBytes ?? 0) + MiB * specOf(w).drivesPerCopy)
    violated("growth", `mirror ${array.mirror} grows before its size is recorded`);
}
