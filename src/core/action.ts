/**
 * Everything that a node can do, as data. The planner returns these; host/apply.ts and
 * agent/apply-record.ts carry them out, and both tables are checked by the compiler to be complete.
 * An action is idempotent: done twice, or killed in the middle and done again, it ends the same.
 * `Record*` actions are compare-and-swaps of the volume's status (core/record.ts); the others touch
 * the host. The list of kinds (ACTION_KINDS) is what the kill tests run through.
 */

import type { FsType, Verdict } from "../api/volume.ts";

export interface MemberRef {
  partitionUUID: string;
  mirror: number;
}

/** A member that leaves, with the attach number of the connection that is given up with it (null: local). */
export interface LeavingRef extends MemberRef {
  attach: number | null;
}

/** The owner that is replaced, as it was judged (decision 0011). */
export interface ClaimFrom {
  nodeUID: string;
  bootID: string;
  judged: Verdict;
}

/** One controller that the guard of a volume watches; the name alone may be given to another connection later. */
export interface Watched {
  controller: string;
  nqn: string;
}

export type HostAction =
  /** Makes a GPT partition in the named hole and its device node; refuses on any overlap (I9). */
  | { kind: "CreatePartition"; partitionUUID: string; drive: string; startBytes: number; sizeBytes: number; label: string }
  /** Zeroes the whole partition, with Write Zeroes where the drive offers it; reads back samples (I7). */
  | { kind: "ZeroPartition"; partitionUUID: string; device: string }
  /** Zeroes the partition's data before its space is free again (I7, I9). */
  | { kind: "WipePartition"; partitionUUID: string; device: string }
  | { kind: "DeletePartition"; partitionUUID: string; drive: string; number: number; device: string }
  /** Makes a partition bigger in place, in the table and in the kernel; refuses on any overlap (I9). It may be in use. */
  | { kind: "GrowPartition"; partitionUUID: string; drive: string; toBytes: number }
  /** Zeroes what a partition has grown by, which nobody uses yet; reads back samples (I7). */
  | { kind: "ZeroExtension"; partitionUUID: string; device: string; fromBytes: number; toBytes: number }
  /** Withdraws an export: allowed host, ports, proof that no controller is left, disable (drains), remove (I2, Z11). */
  | { kind: "CutExport"; nqn: string }
  | { kind: "CreateExport"; nqn: string; partitionUUID: string; device: string; hostNQN: string; address: string; port: number }
  | { kind: "Connect"; nqn: string; partitionUUID: string; address: string; port: number }
  | { kind: "Disconnect"; controller: string; nqn: string }
  | { kind: "OpenWindow"; partitionUUID: string; epoch: number; below: string; sizeBytes: number }
  | { kind: "CloseWindow"; partitionUUID: string }
  /** Lets a window in use show more of what is below it; a remote namespace is asked for its size anew first (`controller`; null: local). */
  | { kind: "GrowWindow"; partitionUUID: string; epoch: number; below: string; controller: string | null; sizeBytes: number }
  /**
   * Writes the label {volume UID, epoch, generation} on every listed device (a partition or namespace,
   * not a window), and reads it back (I2, Z20). Refuses a label of another volume or member (ForeignContent)
   * and a label that is newer than the record (RecordOlderThanLabel): at the epoch's start any label with
   * this epoch or a later one, or with a generation above `recordGeneration` (generations never go back, so
   * the record is a restored one); otherwise one with a later epoch or, in this epoch, a later generation.
   */
  | {
      kind: "StampLabel";
      devices: { partitionUUID: string; mirror: number; device: string; generation: number; recordGeneration?: number }[];
      volumeUID: string;
      epoch: number;
      atStart: boolean;
    }
  /** First making of a mirror on blank, identical members. */
  | {
      kind: "CreateMirror";
      mirror: number;
      arrayUUID: string;
      name: string;
      slots: number;
      members: { partitionUUID: string; local: boolean }[];
      sizeBytes: number;
      bitmapChunkBytes: number;
    }
  /** Assembles exactly these members, never by scanning, never by force (I3). */
  | { kind: "AssembleMirror"; mirror: number; arrayUUID: string; name: string; members: { partitionUUID: string; local: boolean }[] }
  /** SET_DISK_FAULTY through `mdadm --fail`; only after RecordOut (I1, Z1). */
  | { kind: "FailMember"; device: string; partitionUUID: string; window: string }
  | { kind: "RemoveMember"; device: string; partitionUUID: string; window: string }
  /** Bitmap re-add: union of both bitmaps set, read back from a survivor, then --re-add (I5, Z18). */
  | { kind: "ReAddMember"; device: string; arrayUUID: string; partitionUUID: string; window: string; survivorWindow: string; local: boolean }
  /** Adds a member to be rebuilt in full, in a vacant slot or (grow) in an added one (E21). */
  | { kind: "AddMember"; device: string; partitionUUID: string; window: string; growTo: number | null; local: boolean }
  | { kind: "ShrinkMirror"; device: string; slots: number }
  /** Lets a mirror whose members are all in sync use more of them; what is added is equal on all (zeroes), so nothing is copied. */
  | { kind: "GrowMirror"; device: string; sizeBytes: number }
  | { kind: "SetWriteMostly"; device: string; window: string; writeMostly: boolean }
  /** Stops an array; `clean`: every member of R was in sync and live when it was decided (Z15). */
  | { kind: "StopMirror"; device: string; clean: boolean }
  | { kind: "CreateVolumeDevice"; volumeName: string; volumeUID: string; mirrors: string[]; sizeBytes: number }
  /** Gives the device a longer table. That comes with a resume, so it is refused as one (`notAfterMs`), and while the device is suspended (I10). */
  | { kind: "GrowVolumeDevice"; name: string; mirrors: string[]; sizeBytes: number; notAfterMs: number | null }
  | { kind: "RemoveVolumeDevice"; name: string }
  /**
   * Arms the volume device's guard (I10, Z16): a process that outlives this program and suspends the device once one of
   * these controllers was not live for `graceMs`, counted from `provenMs` (monotonic) at first. Replaces the guard that is
   * there; with nothing to watch there is none.
   */
  | { kind: "GuardVolume"; name: string; connections: Watched[]; provenMs: number; graceMs: number }
  /** Blocks new I/O, reads included, in a process of its own without a deadline; done when it waits there or has ended (Z14). */
  | { kind: "SuspendVolume"; name: string }
  /** Lets I/O through again. Refused after `notAfterMs` (monotonic; null: no limit): the proof is too old then (I10). */
  | { kind: "ResumeVolume"; name: string; notAfterMs: number | null }
  /** Kills every process that uses the volume, and proves it: gone, or SIGKILL pending on every thread (I4, Z15). Kernel users are refused. */
  | { kind: "KillUsers"; name: string; targets: string[] }
  /** From here on the filesystem answers with errors; with XFS nothing that is held can be reported as success any more (I4, E13). */
  | { kind: "ShutdownFilesystem"; target: string; fsType: FsType }
  /**
   * Gives a suspended volume device a table under which every request fails, and lets it go on with that: whoever has it
   * open, or opens it by a node that is left, reaches nothing any more (I4). Waits for the requests under way.
   */
  | { kind: "FailVolume"; name: string }
  /** mkfs for exactly this UUID on a device proven blank, or again for the same UUID (I6). */
  | { kind: "MakeFilesystem"; device: string; fsType: FsType; uuid: string; sectorSize: number; stripes: number }
  | { kind: "MountStage"; device: string; target: string; fsType: FsType; options: string[]; readOnly: boolean }
  /** Grows a mounted filesystem to its device; one that has grown is success. */
  | { kind: "GrowFilesystem"; device: string; target: string; fsType: FsType; sizeBytes: number }
  /** Binds the volume device's node on a file: how a raw block volume is staged, and published. */
  | { kind: "BindDevice"; device: string; target: string }
  | { kind: "UnmountStage"; target: string }
  | { kind: "MountPublish"; source: string; target: string; readOnly: boolean }
  | { kind: "UnmountPublish"; target: string };

export type RecordAction =
  /** Requested → Created, after the zeroes were proven (I7). */
  | { kind: "RecordCreated"; partitionUUID: string }
  /** The partition could not be made; the controller finds another place. */
  | { kind: "RecordFaulty"; partitionUUID: string; message: string }
  /** Takes the partition's entry out; the last one of a deleted volume lets the object go. */
  | { kind: "RecordDeleted"; partitionUUID: string }
  /** Announces the next export before it is made, with a new attach number (Z6). */
  | { kind: "RecordExport"; partitionUUID: string; epoch: number; attach: number }
  /** Takes ownership under a new epoch (I2); `from`: from an owner that is gone, null: from nobody or an earlier self. */
  | { kind: "RecordClaim"; from: ClaimFrom | null }
  /** Asks the living owner to give the volume up if nobody uses it there. */
  | { kind: "RecordHandOver" }
  /** Nothing of the epochs that a former owner ran is left on it: it says so itself, or it is declared dead (I4, I10). */
  | { kind: "RecordTornDown"; nodeUID: string; judged: Verdict | null }
  /** Every mirror of this epoch runs: its former owners have been waited for (I10). */
  | { kind: "RecordFenced" }
  | { kind: "RecordMirrorCreated"; mirror: number }
  /** Takes members out of R, always raising the generation, also when they were not in it (I1, Z2). */
  | { kind: "RecordOut"; members: LeavingRef[]; reason: string }
  /**
   * Before a member joins: state Syncing; if it fills the last vacant slot, absent members lose their claim on
   * the bitmap; one that is rebuilt in full loses its own, because its old bitmap is wiped (I5).
   */
  | { kind: "RecordJoining"; member: MemberRef; fills: boolean; byBitmap: boolean }
  /** Takes members into R once sysfs says in_sync and no sync runs (I1). */
  | { kind: "RecordIn"; members: MemberRef[] }
  /** Gives up a connection that died before its member joined an array; the provider exports anew (Z6). */
  | { kind: "RecordDetached"; partitionUUID: string; attach: number }
  /** Asks for a copy on this node (the pod's node gets one); before first use it takes the place of another node's copy. */
  | { kind: "RecordRequestLocal"; partitions: { mirror: number; drive: string; sizeBytes: number }[]; insteadOf: string | null }
  /** Takes an excess copy's members out of R and marks them Replacing. */
  | { kind: "RecordRetire"; members: LeavingRef[] }
  /** The retired member has left the array and its connection: Deleting and detached, it may be wiped (I9). */
  | { kind: "RecordRetired"; partitionUUID: string }
  /** What a partition has grown by reads as zeroes: it counts from now on (I7). */
  | { kind: "RecordPartitionGrown"; partitionUUID: string; sizeBytes: number }
  /** It cannot grow where it is: the controller places a bigger one in its stead. */
  | { kind: "RecordTight"; partitionUUID: string }
  /** The volume is bigger from here on; before anything is built by it. */
  | { kind: "RecordSize"; capacityBytes: number }
  | { kind: "RecordFilesystemGrown"; sizeBytes: number }
  /** Fixes the filesystem's UUID before mkfs (I6). */
  | { kind: "RecordFilesystem" }
  | { kind: "RecordFormatted" }
  /** Gives ownership up after everything is proven gone (I8); clean only by Z15. `from`: of a deleted volume, in the place of an owner that is declared dead. */
  | { kind: "RecordRelease"; clean: boolean; from?: ClaimFrom };

/** Every action carries the sentence that explains and status show. */
export type Action = (HostAction | RecordAction) & { why: string };
export type ActionKind = Action["kind"];

/** Kinds whose decision needs a linearizable read of the volume (I2: cut, export, assemble, release, wipe). */
export const ALL_HOST_KINDS = [
  "CreatePartition",
  "ZeroPartition",
  "WipePartition",
  "DeletePartition",
  "GrowPartition",
  "ZeroExtension",
  "CutExport",
  "CreateExport",
  "Connect",
  "Disconnect",
  "OpenWindow",
  "CloseWindow",
  "GrowWindow",
  "StampLabel",
  "CreateMirror",
  "AssembleMirror",
  "FailMember",
  "RemoveMember",
  "ReAddMember",
  "AddMember",
  "ShrinkMirror",
  "GrowMirror",
  "SetWriteMostly",
  "StopMirror",
  "CreateVolumeDevice",
  "GrowVolumeDevice",
  "RemoveVolumeDevice",
  "GuardVolume",
  "SuspendVolume",
  "ResumeVolume",
  "KillUsers",
  "ShutdownFilesystem",
  "FailVolume",
  "MakeFilesystem",
  "GrowFilesystem",
  "MountStage",
  "BindDevice",
  "UnmountStage",
  "MountPublish",
  "UnmountPublish",
] as const satisfies readonly HostAction["kind"][];
export const ALL_RECORD_KINDS = [
  "RecordCreated",
  "RecordFaulty",
  "RecordDeleted",
  "RecordExport",
  "RecordClaim",
  "RecordHandOver",
  "RecordTornDown",
  "RecordFenced",
  "RecordMirrorCreated",
  "RecordOut",
  "RecordJoining",
  "RecordIn",
  "RecordDetached",
  "RecordRequestLocal",
  "RecordRetire",
  "RecordRetired",
  "RecordPartitionGrown",
  "RecordTight",
  "RecordSize",
  "RecordFilesystemGrown",
  "RecordFilesystem",
  "RecordFormatted",
  "RecordRelease",
] as const satisfies readonly RecordAction["kind"][];
export const ACTION_KINDS: readonly ActionKind[] = [...ALL_HOST_KINDS, ...ALL_RECORD_KINDS];

/** Compile-time proof that the lists above name every kind. */
type Missing = Exclude<ActionKind, (typeof ALL_HOST_KINDS)[number] | (typeof ALL_RECORD_KINDS)[number]>;
const noneMissing: Missing extends never ? true : never = true;
void noneMissing;
