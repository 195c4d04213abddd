/**
 * What a node sees of its own kernel: one snapshot, taken by host/observe.ts from lock-free sysfs,
 * configfs and mountinfo (Z4: nothing here may wait for an array's lock). Sizes and offsets are in
 * bytes, times in milliseconds of a monotonic clock.
 */

/** One local NVMe drive (a namespace), never one of our own imports. */
export interface Drive {
  /** Serial number and namespace id, joined by ':'. */
  id: string;
  /** Kernel name, for example nvme0n1. */
  device: string;
  model: string;
  serial: string;
  sizeBytes: number;
  sectorSize: number;
  readOnly: boolean;
  /** The drive zeroes by command (queue/write_zeroes_max_bytes > 0). */
  writeZeroes: boolean;
}

/** The partition table of a drive; read by a tool, so only when something changed. */
export interface DriveTable {
  drive: string;
  label: "gpt" | "dos" | "none" | "other";
  firstUsableByte: number;
  lastUsableByte: number;
  entries: { number: number; startBytes: number; sizeBytes: number; uuid: string; type: string; name: string }[];
  maxEntries: number;
  /** Signature found on the whole drive where there is no table (filesystem, LVM, MD), else null. */
  signature: string | null;
  /** Something on the whole drive is in use (mounted, LVM, MD): what. */
  usedBy: string | null;
}

/** A partition of our type on a local drive. */
export interface LocalPartition {
  uuid: string;
  drive: string;
  /** Kernel name, for example nvme0n1p3. */
  device: string;
  number: number;
  startBytes: number;
  sizeBytes: number;
  /** Kernel names of devices stacked on it (sysfs holders). */
  holders: string[];
}

/** One of our nvmet subsystems as configfs shows it. */
export interface Export {
  nqn: string;
  partitionUUID: string;
  epoch: number;
  attach: number;
  /** Backing device of its namespace, empty if there is none yet. */
  devicePath: string;
  enabled: boolean;
  allowedHosts: string[];
  /** Port directory names it is linked to. */
  ports: string[];
}

/** State of an NVMe controller of ours on the host side (sysfs `state`). */
export type ControllerState = "new" | "connecting" | "live" | "resetting" | "deleting" | "dead" | "unknown";

/** One of our NVMe-oF connections. */
export interface Connection {
  /** Controller, for example nvme4. */
  controller: string;
  nqn: string;
  partitionUUID: string;
  epoch: number;
  attach: number;
  state: ControllerState;
  /** Block device of the namespace, for example nvme4n1; null while there is none. */
  device: string | null;
  sizeBytes: number;
}

/** The window: dm-linear over a member (partition or namespace) that leaves out the label area. */
export interface Window {
  /** Kernel name, for example dm-3. */
  device: string;
  name: string;
  partitionUUID: string;
  /** Epoch in which it was opened (from its device-mapper UUID). */
  epoch: number;
  /** Kernel name of the device below: nvme0n1p3 or nvme4n1; null if it is gone. */
  below: string | null;
  sizeBytes: number;
  suspended: boolean;
  /** Requests under way, and requests ever completed (sysfs stat). */
  inflight: number;
  completed: number;
}

export interface MirrorMember {
  /** Kernel name of the member device as MD knows it (a window), for example dm-3. */
  device: string;
  /** Identity through the window; null if the device is not a window of ours. */
  partitionUUID: string | null;
  /** sysfs dev-X/state, split at commas: in_sync, faulty, spare, write_mostly, blocked, want_replacement … */
  flags: string[];
  slot: number | null;
}

/** An MD array with at least one window of ours, or whose UUID we know. */
export interface Mirror {
  /** Kernel name, for example md127. */
  device: string;
  arrayUUID: string;
  arrayState: string;
  raidDisks: number;
  degraded: number;
  syncAction: string;
  /** Sectors done and in all, of the running resync; null at rest. */
  syncCompleted: { done: number; total: number } | null;
  /** Speed of the running resync in KiB/s, 0 at rest. */
  syncSpeedKiB: number;
  hasBitmap: boolean;
  sizeBytes: number;
  members: MirrorMember[];
  /** Kernel names of devices stacked on it. */
  holders: string[];
}

/** A volume device: dm over the mirrors. */
export interface VolumeDevice {
  device: string;
  name: string;
  volumeUID: string;
  sizeBytes: number;
  /** Kernel names of the mirrors below, in table order as far as sysfs tells (sorted). */
  below: string[];
  suspended: boolean;
  /** A suspend of ours waits there for requests that are held; new ones wait behind it (Z14). */
  suspending: boolean;
  /** Its table answers every request with an error: it was stopped by force (I4). */
  failed: boolean;
  /** NQNs of the connections that its guard watches; null: no guard runs (Z16). */
  guarded: string[] | null;
}

export interface Mount {
  target: string;
  /** Kernel name of the mounted device, for example dm-7, or of the device whose node is bound there; empty if not a block device. */
  device: string;
  fsType: string;
  readOnly: boolean;
  /** Root within the filesystem (mountinfo field 4), `/` for a whole mount. */
  root: string;
  /** The filesystem is shut down, or took itself out of use after an error: nobody is served by it as it should be. */
  shutDown: boolean;
}

export interface HostSnapshot {
  bootID: string;
  takenAtMs: number;
  drives: Drive[];
  partitions: LocalPartition[];
  exports: Export[];
  connections: Connection[];
  windows: Window[];
  mirrors: Mirror[];
  volumeDevices: VolumeDevice[];
  mounts: Mount[];
  /** Host commands that did not end in time and cannot be killed. */
  stranded: number;
}
