/**
 * A volume grows while it runs, from below upwards. Each step follows from what is there, so it may be cut anywhere:
 *
 *   provider   partition made bigger in place → what was added is zeroed (I7) → recorded
 *              no room behind it: recorded so; a bigger one is placed, joins in an added slot, and the small one leaves
 *   owner      the size is recorded → windows → mirrors → volume device → filesystem
 *
 * Nothing is built by a size that is not recorded, and no member that is smaller than the record is used (isBigEnough).
 * MD: what is added reads as zeroes on every member, so it needs no resync. The bitmap keeps its place on the drives; where
 * its bits would not fit, the kernel doubles its chunk until they do (md-bitmap.c, __bitmap_resize), which makes a member's
 * return coarser and nothing else. A member that is away loses its claim on the bitmap with the record of the size. Pure.
 */
import { volumeDeviceName } from "../api/names.ts";
import { LABEL_AREA, PARTITION_OVERHEAD } from "../base/layout.ts";
import { formatBytes } from "../base/units.ts";
import type { Action } from "./action.ts";
import { provenUntil } from "./fresh.ts";
import { deviceSize, fitsBehind, keepsFromGrowing, mustGrow, sizeInUse, specInUse } from "./growth.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { act, NOTHING, wait } from "./plan-types.ts";
import { isReplaced, mayReturn } from "./record-base.ts";
import { hasJob } from "./session.ts";
import { mirrorSize, partitionSize } from "./sizes.ts";
import { isBlock } from "./staged.ts";
import type { MemberView, VolumeView } from "./view.ts";
import { isLost, isSyncing } from "./view.ts";

/** The owner's part; only with every member live and nothing else to do (Z3). */
export function planGrow(view: VolumeView, input: PlanInput): Plan {
  const { volume, device } = view;
  if (view.mounts.length === 0 || !device || device.suspended || device.suspending || device.failed) return NOTHING;
  const size = planSize(view);
  if (size) return size;
  const members = view.members.filter((m) => m.inArray !== null);
  if (members.some((m) => isLost(m) || m.path === null)) return NOTHING;
  const mirrorBytes = mirrorSize(specInUse(volume));
  const windowBytes = mirrorBytes + PARTITION_OVERHEAD - LABEL_AREA;
  const narrow = members.filter((m) => m.window !== null && m.window.sizeBytes < windowBytes);
  if (narrow.length > 0) return act(...narrow.map((m) => growWindow(view, m, windowBytes)));
  const small = view.mirrors.filter((m) => m.array!.sizeBytes < mirrorBytes);
  if (small.length > 0) {
    const busy = small.find((m) => isSyncing(m.array) || m.array!.members.some((x) => !x.flags.includes("in_sync")));
    if (busy) return wait(`mirror ${busy.index} grows once its resync has ended`);
    return act(...small.map((m): Action => ({ kind: "GrowMirror", device: m.array!.device, sizeBytes: mirrorBytes, why: "every member has room for more" })));
  }
  const deviceBytes = deviceSize(sizeInUse(volume), volume.spec.drivesPerCopy);
  if (device.sizeBytes < deviceBytes) {
    // Its new table comes with a resume, which would also end a suspend of the guard's: only on a proof as good as for that (I10).
    const notAfterMs = provenUntil(view, input);
    if (notAfterMs !== null && input.nowMs > notAfterMs) return wait(`the device of volume ${view.name} grows once its connections are looked at again (I10)`);
    const mirrors = view.mirrors.map((m) => m.array!.device);
    return act({ kind: "GrowVolumeDevice", name: device.name, mirrors, sizeBytes: sizeInUse(volume), notAfterMs, why: "the mirrors below it have grown" });
  }
  return planGrowFilesystem(view, input);
}

/** Once every member that counts is big enough, the size is recorded; until then who makes room is said. */
function planSize(view: VolumeView): Plan | null {
  const { volume } = view;
  if (!mustGrow(volume)) return null;
  const small = view.members.filter((m) => keepsFromGrowing(m.record, m.recorded || m.inArray !== null, volume.spec));
  if (small.length === 0)
    return act({ kind: "RecordSize", capacityBytes: volume.spec.capacityBytes, why: "every member has room for it: recorded before anything is built by it" });
  const growing = `volume ${view.name} grows to ${formatBytes(volume.spec.capacityBytes)}`;
  const tight = small.filter((m) => m.record.tight);
  const nodes = [...new Set((tight.length > 0 ? tight : small).map((m) => m.record.nodeID))].join(", ");
  if (tight.length === 0) return wait(`${growing}: node ${nodes} makes its partition bigger`);
  const why = view.status.placementMessage ?? "its copy is moved to where there is room";
  return wait(`${growing}: there is no room behind the partition on node ${nodes}; ${why}`);
}

function growWindow(view: VolumeView, m: MemberView, sizeBytes: number): Action {
  const controller = m.local ? null : (m.connection?.controller ?? null);
  return { kind: "GrowWindow", partitionUUID: m.uuid, epoch: view.epoch, below: m.path!, controller, sizeBytes, why: "the partition below it has grown" };
}

function planGrowFilesystem(view: VolumeView, input: PlanInput): Plan {
  const { volume, status } = view;
  if (isBlock(volume.spec) || status.sizeBytes === undefined || !status.filesystem?.formattedAt) return NOTHING;
  if ((status.filesystem.sizeBytes ?? 0) >= status.sizeBytes) return NOTHING;
  if (input.session.filesystemBytes === status.sizeBytes) return act({ kind: "RecordFilesystemGrown", sizeBytes: status.sizeBytes, why: "the filesystem has grown" });
  const device = volumeDeviceName(view.name);
  if (hasJob(input.session, device)) return wait(`the filesystem of volume ${view.name} grows`);
  const mount = view.mounts.find((m) => !m.readOnly && m.root === "/" && !m.shutDown);
  if (!mount) return wait(`the filesystem of volume ${view.name} grows when it is next mounted writable`);
  return act({ kind: "GrowFilesystem", device, target: mount.target, fsType: volume.spec.fsType, sizeBytes: status.sizeBytes, why: "the device below it has grown" });
}

const GROWS: ReadonlySet<string> = new Set(["Created", "Syncing", "Synced", "Spare", "Missing"]);

/** The provider's part for one of its partitions: an action, a sentence, or null. */
export function planGrowPartition(view: VolumeView, m: MemberView, input: PlanInput): Action | string | null {
  const { record, uuid, partition } = m;
  const toBytes = partitionSize(view.volume.spec);
  // One whose place was taken still counts while R names it: it stays where more copies came to be wanted since.
  const leaves = isReplaced(view.status, uuid) && !m.recorded;
  if (!(GROWS.has(record.state) || mayReturn(view.status, record)) || record.sizeBytes >= toBytes || partition === null || leaves) return null;
  if (hasJob(input.session, uuid)) return `node ${record.nodeID} zeroes what partition ${uuid} has grown by`;
  if (partition.sizeBytes >= toBytes) {
    if (input.session.extended.includes(`${uuid}:${toBytes}`))
      return { kind: "RecordPartitionGrown", partitionUUID: uuid, sizeBytes: toBytes, why: `partition ${uuid} has grown, and reads as zeroes where it has` };
    return {
      kind: "ZeroExtension",
      partitionUUID: uuid,
      device: partition.device,
      fromBytes: record.sizeBytes,
      toBytes,
      why: "what is added reads as zeroes before its first use (I7)",
    };
  }
  const table = input.tables.get(record.drive);
  if (!table) return null;
  if (fitsBehind(table, uuid, toBytes)) return { kind: "GrowPartition", partitionUUID: uuid, drive: record.drive, toBytes, why: "more is wanted, and there is room behind it" };
  return record.tight ? null : { kind: "RecordTight", partitionUUID: uuid, why: `there is no room behind partition ${uuid} on drive ${record.drive}` };
}
