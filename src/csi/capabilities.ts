/** Volume capabilities: which access modes, volume modes, filesystems and mount flags are offered. */
import { FS_TYPES, type FsType, type VolumeMode, type VolumeSpec } from "../api/volume.ts";
import { isBlock } from "../core/staged.ts";
import { MeshStorError } from "../base/errors.ts";
import { type VolumeCapability, VolumeCapability_AccessMode_Mode as Mode } from "./gen/csi_pb.ts";
import { quoted } from "./quoted.ts";

/** What a capability asks for, once it is found to be offered. */
export interface CapabilityWish {
  volumeMode: VolumeMode;
  /** Null: not said; the volume's own. */
  fsType: FsType | null;
  mountFlags: string[];
  readOnly: boolean;
  /** One target at a time (ReadWriteOncePod). */
  exclusive: boolean;
}

const OFFERED_MODES: ReadonlySet<Mode> = new Set([Mode.SINGLE_NODE_WRITER, Mode.SINGLE_NODE_SINGLE_WRITER, Mode.SINGLE_NODE_MULTI_WRITER]);

/** Mount flags that change what is mounted, bring in other devices, or give up what protects it or the node; never taken from a StorageClass. */
const REFUSED_FLAGS = new Set([
  "remount",
  "bind",
  "rbind",
  "move",
  "loop",
  "nouuid",
  "norecovery",
  "noload",
  "nobarrier",
  "barrier",
  "abort",
  "errors",
  "sb",
  "offset",
  "sizelimit",
  "logdev",
  "rtdev",
  "journal_dev",
  "journal_path",
  "shared",
  "rshared",
  "private",
  "rprivate",
  "slave",
  "rslave",
  "unbindable",
  "runbindable",
]);
const FLAG = /^[a-zA-Z][\w+:-]*(=[\w.+:%/-]*)?$/;
/** As kubelet passes a pod's SELinux label (pkg/volume/util, AddSELinuxMountOption): quoted, since its categories have commas. */
const SELINUX_CONTEXT = /^context="[\w.:-]+(,[\w.:-]+)*"$/;
const LONGEST_FLAG = 256;

function modeName(mode: Mode): string {
  return Object.entries(Mode).find(([, value]) => value === mode)?.[0] ?? String(mode);
}

function isFsType(text: string): text is FsType {
  return (FS_TYPES as readonly string[]).includes(text);
}

/** Why a capability is not offered, as a clause that names the field; null if it is. */
function refusalOf(capability: VolumeCapability, field: string): string | null {
  const { accessType, accessMode } = capability;
  const mode = accessMode?.mode ?? Mode.UNKNOWN;
  if (!OFFERED_MODES.has(mode)) return `${field}.access_mode ${modeName(mode)} is not offered: a volume is used by one node at a time`;
  if (accessType.case !== "mount") return null;
  const { fsType, mountFlags, volumeMountGroup } = accessType.value;
  if (fsType !== "" && !isFsType(fsType)) return `${field}.mount.fs_type ${quoted(fsType)} is not offered, only ${FS_TYPES.map((type) => `"${type}"`).join(" and ")}`;
  if (volumeMountGroup !== "") return `${field}.mount.volume_mount_group ${quoted(volumeMountGroup)} is not offered`;
  const flag = mountFlags.find((f) => f.length > LONGEST_FLAG || !(SELINUX_CONTEXT.test(f) || FLAG.test(f)) || REFUSED_FLAGS.has(f.split("=")[0]!));
  return flag === undefined ? null : `${field}.mount.mount_flags: ${quoted(flag)} is not offered`;
}

/** Reads one capability. @throws MeshStorError InvalidParameter if it is incomplete, UnsupportedCapability if it is not offered. */
export function checkCapability(capability: VolumeCapability | undefined, field: string): CapabilityWish {
  if (!capability) throw new MeshStorError("InvalidParameter", `${field} is missing`);
  if (capability.accessType.case === undefined) throw new MeshStorError("InvalidParameter", `${field}: neither mount nor block is set`);
  if (!capability.accessMode) throw new MeshStorError("InvalidParameter", `${field}.access_mode is missing`);
  const refusal = refusalOf(capability, field);
  if (refusal !== null) throw new MeshStorError("UnsupportedCapability", refusal);
  const { fsType = "", mountFlags = [] } = capability.accessType.case === "mount" ? capability.accessType.value : {};
  return {
    volumeMode: capability.accessType.case === "block" ? "Block" : "Filesystem",
    fsType: isFsType(fsType) ? fsType : null,
    mountFlags: mountFlags.filter((flag) => flag !== "rw" && flag !== "ro"),
    readOnly: mountFlags.includes("ro"),
    exclusive: capability.accessMode.mode === Mode.SINGLE_NODE_SINGLE_WRITER,
  };
}

/** What a list of capabilities says of the volume itself. @throws MeshStorError see {@link checkCapability}; InvalidParameter if they contradict each other. */
export function checkCapabilities(capabilities: readonly VolumeCapability[]): Pick<CapabilityWish, "volumeMode" | "fsType"> {
  if (capabilities.length === 0) throw new MeshStorError("InvalidParameter", "volume_capabilities is missing");
  const wishes = capabilities.map((capability, i) => checkCapability(capability, `volume_capabilities[${i}]`));
  const fsTypes = [...new Set(wishes.flatMap(({ fsType }) => fsType ?? []))];
  if (fsTypes.length > 1) throw new MeshStorError("InvalidParameter", `volume_capabilities: mount.fs_type is ${fsTypes.join(" in one and ")} in another`);
  const modes = [...new Set(wishes.map(({ volumeMode }) => volumeMode))];
  if (modes.length > 1) throw new MeshStorError("InvalidParameter", "volume_capabilities: mount in one and block in another; a volume is one of the two");
  return { volumeMode: modes[0]!, fsType: fsTypes[0] ?? null };
}

/** Why a capability that is offered does not fit this volume, as a clause that names the field; null if it does. */
export function misfitOf(
  wish: Pick<CapabilityWish, "volumeMode" | "fsType">,
  volume: { name: string; spec: Pick<VolumeSpec, "volumeMode" | "fsType"> },
  field: string,
): string | null {
  const { name, spec } = volume;
  if (isBlock(spec)) return wish.volumeMode === "Block" ? null : `${field}.mount: volume ${name} is a raw block volume`;
  if (wish.volumeMode === "Block") return `${field}.block: volume ${name} has a filesystem`;
  if (wish.fsType !== null && wish.fsType !== spec.fsType) return `${field}.mount.fs_type is ${wish.fsType}, volume ${name} carries ${spec.fsType}`;
  return null;
}

/** The sentence why these capabilities are not offered, or do not fit the volume; null if they do. For calls that answer instead of refusing. */
export function unsupportedReason(capabilities: readonly VolumeCapability[], volume?: { name: string; spec: VolumeSpec }): string | null {
  for (const [i, capability] of capabilities.entries()) {
    const field = `volume_capabilities[${i}]`;
    const refusal =
      refusalOf(capability, field) ??
      (volume && capability.accessType.case !== undefined && capability.accessMode ? misfitOf(checkCapability(capability, field), volume, field) : null);
    if (refusal !== null) return refusal;
  }
  return null;
}
