/** From assembled mirrors to something that pods can use: volume device, filesystem made once, mount or bound device (I6, I10). Pure. */
import { volumeDeviceName } from "../api/names.ts";
import { countedMembers, isGuarded } from "./fresh.ts";
import { carriedSize } from "./growth.ts";
import type { Plan, PlanInput } from "./plan-types.ts";
import { act, NOTHING, wait } from "./plan-types.ts";
import { hasJob } from "./session.ts";
import { isBlock, stagedTarget } from "./staged.ts";
import type { VolumeView } from "./view.ts";
import { isUnfenced } from "./wait-out.ts";

export function planMount(view: VolumeView, input: PlanInput): Plan {
  if (input.intent.kind !== "stage") return NOTHING;
  const { spec } = view.volume;
  if (!view.device) {
    const mirrors = view.mirrors.map((m) => m.array!.device);
    // I10: every member that this epoch started with was cut off and waited for.
    if (isUnfenced(view)) return act({ kind: "RecordFenced", why: "the epoch runs: its former owners can prove nothing any more" });
    // Mirrors that were to grow and have not yet: the device grows after them, while it is in use.
    const sizeBytes = carriedSize(
      view.volume,
      view.mirrors.map((m) => m.array!.sizeBytes),
    );
    return act({ kind: "CreateVolumeDevice", volumeName: view.name, volumeUID: view.uid, mirrors, sizeBytes, why: "the volume's own device over its mirrors" });
  }
  const unformatted = isBlock(spec) ? null : planFormat(view, input);
  if (unformatted) return unformatted;
  const { stagingPath, mountFlags, readOnly } = input.intent;
  // Z16: whoever is served from here on is served under the promise, also while this program is down.
  if (!countedMembers(view, input.session).every((m) => isGuarded(view, m, input))) return wait(`the guard of volume ${view.name} is armed first (I10)`);
  if (view.device.suspended || view.device.suspending) return wait(`volume ${view.name} is suspended (I10)`);
  const target = stagedTarget(spec, stagingPath);
  if (view.mounts.some((m) => m.target === target)) return { ...NOTHING, done: true };
  const device = volumeDeviceName(view.name);
  if (isBlock(spec)) return act({ kind: "BindDevice", device, target, why: "staged for this node's pods" });
  return act({ kind: "MountStage", device, target, fsType: spec.fsType, options: [...mountFlags], readOnly, why: "staged for this node's pods" });
}

/** I6: its UUID is recorded, then it is made, then that it was made is recorded; null: there it is. */
function planFormat(view: VolumeView, input: PlanInput): Plan | null {
  const { spec } = view.volume;
  const { filesystem } = view.status;
  if (!filesystem) return act({ kind: "RecordFilesystem", why: "the filesystem's UUID is recorded before mkfs (I6)" });
  if (filesystem.formattedAt) return null;
  if (input.session.formatted) return act({ kind: "RecordFormatted", why: "mkfs has ended" });
  const device = volumeDeviceName(view.name);
  if (hasJob(input.session, device)) return wait(`the filesystem of volume ${view.name} is made`);
  return act({
    kind: "MakeFilesystem",
    device,
    fsType: spec.fsType,
    uuid: filesystem.uuid,
    sectorSize: spec.sectorSize ?? 4096,
    stripes: spec.drivesPerCopy,
    why: "the volume was never formatted (I6)",
  });
}
