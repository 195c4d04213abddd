/** Volume capabilities: which access modes, volume modes, filesystems and mount flags are offered. */
import { MeshStorError } from "../base/errors.ts";
import { type VolumeCapability, VolumeCapability_AccessMode_Mode as Mode } from "./gen/csi_pb.ts";
import { quoted } from "./quoted.ts";

/** What a capability asks for, once it is found to be offered. */
export interface MountWish {
  fsType: "xfs";
  mountFlags: string[];
  readOnly: boolean;
  /** One target at a time (ReadWriteOncePod). */
  exclusive: boolean;
}

const OFFERED_MODES: ReadonlySet<Mode> = new Set([Mode.SINGLE_NODE_WRITER, Mode.SINGLE_NODE_SINGLE_WRITER, Mode.SINGLE_NODE_MULTI_WRITER]);

/** Mount flags that change what is mounted or give up what protects it; never taken from a StorageClass. */
const REFUSED_FLAGS = new Set([
  "remount",
  "bind",
  "rbind",
  "move",
  "loop",
  "nouuid",
  "norecovery",
  "shared",
  "rshared",
  "private",
  "rprivate",
  "slave",
  "rslave",
  "unbindable",
  "runbindable",
]);
const FLAG = /^[a-zA-Z][\w.+:-]*(=[\w.+:%/-]*)?$/;
const LONGEST_FLAG = 128;

function modeName(mode: Mode): string {
  return Object.entries(Mode).find(([, value]) => value === mode)?.[0] ?? String(mode);
}

/** Why a capability is not offered, as a clause that names the field; null if it is. */
function refusalOf(capability: VolumeCapability, field: string): string | null {
  const { accessType, accessMode } = capability;
  if (accessType.case === "block") return `${field}.block: raw block volumes are not offered yet`;
  const mode = accessMode?.mode ?? Mode.UNKNOWN;
  if (!OFFERED_MODES.has(mode)) return `${field}.access_mode ${modeName(mode)} is not offered: a volume is used by one node at a time`;
  if (accessType.case !== "mount") return null;
  const { fsType, mountFlags, volumeMountGroup } = accessType.value;
  if (fsType !== "" && fsType !== "xfs") return `${field}.mount.fs_type ${quoted(fsType)} is not offered, only "xfs"`;
  if (volumeMountGroup !== "") return `${field}.mount.volume_mount_group ${quoted(volumeMountGroup)} is not offered`;
  const flag = mountFlags.find((f) => f.length > LONGEST_FLAG || !FLAG.test(f) || REFUSED_FLAGS.has(f.split("=")[0]!));
  return flag === undefined ? null : `${field}.mount.mount_flags: ${quoted(flag)} is not offered`;
}

/** Reads one capability. @throws MeshStorError InvalidParameter if it is incomplete, UnsupportedCapability if it is not offered. */
export function checkCapability(capability: VolumeCapability | undefined, field: string): MountWish {
  if (!capability) throw new MeshStorError("InvalidParameter", `${field} is missing`);
  if (capability.accessType.case === undefined) throw new MeshStorError("InvalidParameter", `${field}: neither mount nor block is set`);
  if (!capability.accessMode) throw new MeshStorError("InvalidParameter", `${field}.access_mode is missing`);
  const refusal = refusalOf(capability, field);
  if (refusal !== null) throw new MeshStorError("UnsupportedCapability", refusal);
  const mountFlags = capability.accessType.case === "mount" ? capability.accessType.value.mountFlags : [];
  return {
    fsType: "xfs",
    mountFlags: mountFlags.filter((flag) => flag !== "rw" && flag !== "ro"),
    readOnly: mountFlags.includes("ro"),
    exclusive: capability.accessMode.mode === Mode.SINGLE_NODE_SINGLE_WRITER,
  };
}

/** Reads a list of capabilities, all of which must be offered. @throws MeshStorError see {@link checkCapability}. */
export function checkCapabilities(capabilities: readonly VolumeCapability[]): MountWish[] {
  if (capabilities.length === 0) throw new MeshStorError("InvalidParameter", "volume_capabilities is missing");
  return capabilities.map((capability, i) => checkCapability(capability, `volume_capabilities[${i}]`));
}

/** The sentence why these capabilities are not offered, or null; for calls that answer instead of refusing. */
export function unsupportedReason(capabilities: readonly VolumeCapability[]): string | null {
  for (const [i, capability] of capabilities.entries()) {
    const refusal = refusalOf(capability, `volume_capabilities[${i}]`);
    if (refusal !== null) return refusal;
  }
  return null;
}
