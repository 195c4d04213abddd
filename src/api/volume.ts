/**
 * MeshStorVolume (msvol): one replicated volume. The schema here is the only source of the CRD
 * (src/api/crd.ts). `spec` is what is asked for; `status` is the record that the safety protocol
 * lives on (docs/explanation/protocol.md) and what people read.
 */
import * as z from "zod";

export const PHASES = ["New", "Requested", "Syncing", "Synced", "Expanding", "Replacing", "Deleting"] as const;
export const PARTITION_STATES = ["Requested", "Created", "Syncing", "Synced", "Spare", "Faulty", "Missing", "Replacing", "Deleting"] as const;

/** Filesystems that are offered; the first one where nobody says. */
export const FS_TYPES = ["xfs", "ext4"] as const;
export type FsType = (typeof FS_TYPES)[number];
export const VOLUME_MODES = ["Filesystem", "Block"] as const;
export type VolumeMode = (typeof VOLUME_MODES)[number];

export const volumeSpecSchema = z.object({
  capacityBytes: z.int().min(536_870_912).max(1_125_899_906_842_624).describe("Size of the volume in bytes, a multiple of 1 MiB, from 512 MiB to 1 PiB; it can grow, not shrink."),
  numberOfCopies: z.int().min(1).max(16).default(2).describe("Number of copies, each on a node of its own (StorageClass: numberOfCopies or replicaCount)."),
  drivesPerCopy: z.int().min(1).max(16).default(1).describe("Number of drives that one copy is striped over (StorageClass: drivesPerCopy or stripeWidth)."),
  memberMissingTimeout: z.int().min(60).max(2_147_483_647).default(900).describe("Seconds that a member may be missing before it is replaced."),
  sectorSize: z.int().min(512).max(4096).optional().describe("Logical sector size of every member in bytes: 512 or 4096; without it any drive will do."),
  volumeMode: z.enum(VOLUME_MODES).default("Filesystem").describe("What pods see: a mounted filesystem, or the raw device."),
  fsType: z.enum(FS_TYPES).default("xfs").describe("Filesystem on the volume; means nothing for a raw one."),
  avoidNodes: z.array(z.string()).optional().describe("Nodes that shall not hold a copy; one that does gives it up once enough others are in sync."),
  requestedName: z.string().optional().describe("The name the CSI caller asked for, where it differs from metadata.name."),
});

/** An export of one member over NVMe-oF, written by the provider before it makes it. */
export const exportSchema = z.object({
  epoch: z.int().min(1).describe("Owner epoch that this export serves."),
  attach: z.int().min(1).describe("Attach number; never used twice for a member (Z6)."),
  bootID: z.string().describe("Boot of the provider in which the export was made; it is never remade in another."),
  transport: z.enum(["tcp"]).describe("NVMe-oF transport."),
  address: z.string().describe("IP address of the provider."),
  port: z.int().describe("NVMe-oF service port."),
});

export const partitionSchema = z.object({
  partitionUUID: z.string().describe("GPT partition UUID; the identity of the member."),
  nodeID: z.string().describe("Kubernetes node that holds the partition."),
  drive: z.string().describe("Drive on that node: serial number and namespace id, joined by ':'."),
  mirror: z.int().min(0).describe("Index of the mirror that the member belongs to."),
  state: z.enum(PARTITION_STATES).describe("State of the partition."),
  sizeBytes: z.int().describe("Size of the partition in bytes."),
  updatedAt: z.string().meta({ format: "date-time" }).describe("Time of the last change of state."),
  export: exportSchema.optional().describe("Current export of the member."),
  detachedAttach: z.int().optional().describe("Attach numbers up to this one are given up by the owner and never connected again."),
  detached: z.boolean().optional().describe("The owner has left this member for good: it may be wiped (I9)."),
  outSince: z
    .int()
    .optional()
    .describe("Generation that took this member out of R; present only while the bitmap still tells all that the member misses, else it is rebuilt in full (I5)."),
  tight: z.boolean().optional().describe("It is too small for what is wanted and there is no room behind it: another takes its place."),
  replaces: z.string().optional().describe("Partition UUID of the member whose place this one was placed to take."),
  unmade: z.boolean().optional().describe("It was never made: nothing of it was ever used, and nothing that is found of it may be."),
  failedJoins: z.int().optional().describe("How often a join of this member began and was lost again since it was last in sync."),
  half: z.boolean().optional().describe("A rebuild into this member has begun and not ended: its content is neither old nor new."),
  progress: z.string().optional().describe("Progress of zeroing or wiping, for example 45.2%."),
  message: z.string().optional().describe("One sentence about this partition, if there is something to say."),
});

export const mirrorSchema = z.object({
  index: z.int().min(0),
  arrayUUID: z.string().describe("MD array UUID."),
  created: z.boolean().describe("The MD array has been made on all first members."),
  generation: z.int().min(1).describe("Raised by every write of inSync (Z2)."),
  inSync: z.array(z.string()).describe("R: partition UUIDs of the members recorded in sync; every acknowledged write is on all of them (L1)."),
});

export const ownerSchema = z.object({
  nodeName: z.string(),
  nodeUID: z.string(),
  bootID: z.string(),
  since: z.string().meta({ format: "date-time" }),
  start: z.enum(["First", "Clean", "Unclean"]).describe("How the epoch began; after an unclean stop one member of each mirror starts alone (I3)."),
  promiseMs: z
    .int()
    .optional()
    .describe("This owner serves nothing any more at most this many ms after its connection to a member of R was cut, also while its program is down; absent: no promise (I10)."),
});

/** A former owner of whom it is not proven that nothing of the volume is left on it. */
export const formerSchema = z.object({
  nodeName: z.string(),
  nodeUID: z.string(),
  bootID: z.string(),
  epoch: z.int().min(1).describe("Epoch that it owned."),
  judged: z.enum(["Deleted", "OutOfService", "Silent"]).describe("Why it was taken for gone: declared dead by its Node object, or its heartbeat stopped."),
  waitMs: z.int().min(0).describe("How long after a provider cut it off it may still serve reads (its promise, I10)."),
  waited: z.boolean().optional().describe("It has been waited for: it can serve no reads any more, and may still have the volume assembled."),
  at: z.string().meta({ format: "date-time" }),
});

/** Asks a living owner to give the volume up if nobody uses it there. */
export const handOverSchema = z.object({
  nodeName: z.string().describe("Node that wants the volume."),
  epoch: z.int().min(1).describe("Epoch whose owner is asked."),
  at: z.string().meta({ format: "date-time" }),
});

/** What a person decided when only a stale copy was left; kept for good. */
export const overrideSchema = z.object({
  at: z.string().meta({ format: "date-time" }),
  by: z.string().describe("Who decided."),
  mirror: z.int().min(0),
  chosen: z.string().describe("Partition UUID of the member that is believed since."),
  givenUp: z.array(z.string()).describe("Partition UUIDs of the members of R that were given up, with all that only they had."),
  consistent: z.boolean().describe("The chosen copy was whole when it left R; false: a rebuild into it had begun."),
});

export const filesystemSchema = z.object({
  uuid: z.string().describe("UUID recorded before mkfs (I6)."),
  formattedAt: z.string().meta({ format: "date-time" }).optional().describe("Time when mkfs was seen complete; never formatted again."),
  sizeBytes: z.int().optional().describe("Size of the volume that the filesystem has grown to; absent: it never had to."),
});

export const conditionSchema = z.object({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: z.string().meta({ format: "date-time" }),
});

export const volumeStatusSchema = z.object({
  phase: z.enum(PHASES).optional(),
  mdState: z.string().optional().describe("State of the mirrors: active, degraded, recovering, missing, stopped."),
  syncPercentage: z.string().optional().describe("Progress of a resync, for example 45.2%; empty at rest."),
  syncTimeLeft: z.int().min(0).optional().describe("Seconds until the resync is done, as far as can be told; absent at rest and at its beginning."),
  totalDevices: z.int().optional(),
  activeDevices: z.int().optional(),
  failedDevices: z.int().optional(),
  downDevices: z.int().optional(),
  ready: z.string().optional().describe("Copies in sync of copies wanted, for example 2/2."),
  degraded: z.int().optional().describe("Members that are wanted and not in sync."),
  copies: z.int().optional().describe("Copies in sync (scale subresource)."),
  nodeName: z.string().optional().describe("Node where the volume is assembled."),
  epoch: z.int().min(0).optional().describe("Ownership epoch; every assembly takes a new one (I2)."),
  owner: ownerSchema.optional(),
  former: z.array(formerSchema).optional().describe("Former owners on which something of the volume may be left; they are waited for before a member is exported or used (I10)."),
  handOver: handOverSchema.optional(),
  overrides: z.array(overrideSchema).optional().describe("Times when a person made the volume go on from a stale copy."),
  lastStop: z.enum(["Clean", "Unclean"]).optional().describe("How the last epoch ended (Z15)."),
  mirrors: z.array(mirrorSchema).optional(),
  sizeBytes: z.int().optional().describe("Size that the volume is built with; recorded before it grows, and no member that is smaller is used after that. Absent: it never grew."),
  filesystem: filesystemSchema.optional(),
  partitions: z.array(partitionSchema).optional(),
  leavingNodes: z.array(z.string()).optional().describe("Nodes that shall hold no copy: spec.avoidNodes, and nodes that are being emptied; written by the controller."),
  placementMessage: z.string().optional().describe("Why a copy that is wanted is not placed; written by the controller, absent when nothing keeps it."),
  message: z.string().optional().describe("One sentence: why the volume waits or is degraded, and what happens next."),
  conditions: z.array(conditionSchema).optional(),
});

export type Phase = (typeof PHASES)[number];
export type PartitionState = (typeof PARTITION_STATES)[number];
export interface VolumeSpec {
  capacityBytes: number;
  numberOfCopies: number;
  drivesPerCopy: number;
  memberMissingTimeout: number;
  /** Logical sector size in bytes of every member: 512 or 4096. */
  sectorSize?: number;
  /** Absent: Filesystem. */
  volumeMode?: VolumeMode;
  fsType: FsType;
  avoidNodes?: string[];
  requestedName?: string;
}
export interface ExportRecord {
  epoch: number;
  attach: number;
  bootID: string;
  transport: "tcp";
  address: string;
  port: number;
}
export interface PartitionRecord {
  partitionUUID: string;
  nodeID: string;
  drive: string;
  mirror: number;
  state: PartitionState;
  sizeBytes: number;
  updatedAt: string;
  export?: ExportRecord;
  detachedAttach?: number;
  detached?: boolean;
  outSince?: number;
  tight?: boolean;
  replaces?: string;
  unmade?: boolean;
  failedJoins?: number;
  half?: boolean;
  progress?: string;
  message?: string;
}
export interface MirrorRecord {
  index: number;
  arrayUUID: string;
  created: boolean;
  generation: number;
  inSync: string[];
}
export interface OwnerRecord {
  nodeName: string;
  nodeUID: string;
  bootID: string;
  since: string;
  start: "First" | "Clean" | "Unclean";
  promiseMs?: number;
}
/** How an owner was judged to be gone (decision 0011). */
export type Verdict = "Deleted" | "OutOfService" | "Silent";
export interface FormerOwner {
  nodeName: string;
  nodeUID: string;
  bootID: string;
  epoch: number;
  judged: Verdict;
  waitMs: number;
  waited?: boolean;
  at: string;
}
export interface HandOverRecord {
  nodeName: string;
  epoch: number;
  at: string;
}
export interface OverrideRecord {
  at: string;
  by: string;
  mirror: number;
  chosen: string;
  givenUp: string[];
  consistent: boolean;
}
export interface FilesystemRecord {
  uuid: string;
  formattedAt?: string;
  sizeBytes?: number;
}
export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason: string;
  message: string;
  lastTransitionTime: string;
}
export interface VolumeStatus {
  phase?: Phase;
  mdState?: string;
  syncPercentage?: string;
  syncTimeLeft?: number;
  totalDevices?: number;
  activeDevices?: number;
  failedDevices?: number;
  downDevices?: number;
  ready?: string;
  degraded?: number;
  copies?: number;
  nodeName?: string;
  epoch?: number;
  owner?: OwnerRecord;
  former?: FormerOwner[];
  handOver?: HandOverRecord;
  overrides?: OverrideRecord[];
  lastStop?: "Clean" | "Unclean";
  mirrors?: MirrorRecord[];
  sizeBytes?: number;
  filesystem?: FilesystemRecord;
  partitions?: PartitionRecord[];
  leavingNodes?: string[];
  placementMessage?: string;
  message?: string;
  conditions?: Condition[];
}

/** The parts of Kubernetes object metadata that we use. */
export interface ObjectMeta {
  name: string;
  uid?: string;
  resourceVersion?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  generation?: number;
  /** Who wrote which fields last (server-side bookkeeping). */
  managedFields?: { manager?: string; time?: string; subresource?: string; fieldsV1?: unknown }[];
}
export interface MeshStorVolume {
  apiVersion: string;
  kind: "MeshStorVolume";
  metadata: ObjectMeta;
  spec: VolumeSpec;
  status?: VolumeStatus;
}
