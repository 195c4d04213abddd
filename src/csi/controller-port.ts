/** What the CSI Controller service asks of the controller role. The edge (controller.ts) has checked the arguments. */
import type { MutableParameters, VolumeParameters } from "../api/parameters.ts";
import type { FsType, VolumeMode, VolumeSpec } from "../api/volume.ts";
import type { SizeWish, TopologyWish } from "./checks.ts";

export interface CreateRequest extends SizeWish, TopologyWish {
  /** The name that the caller asked for. */
  requestedName: string;
  /** The name of the volume made from it; also its id. */
  volumeID: string;
  parameters: VolumeParameters;
  volumeMode: VolumeMode;
  /** Null: the default of a new volume, whatever an existing one has. */
  fsType: FsType | null;
}

/** A volume as CSI callers see it. */
export interface VolumeSummary {
  volumeID: string;
  capacityBytes: number;
  /** True if it is degraded or worse; `message` says in which way. */
  abnormal: boolean;
  message: string;
  spec: VolumeSpec;
}

/** What a VolumeAttributesClass changes, as the caller wrote it and as it is understood. */
export interface ModifyRequest {
  volumeID: string;
  change: MutableParameters;
}

export interface ExpandRequest {
  volumeID: string;
  /** Size that is asked for, in whole MiB, and the least that counts as it. */
  capacityBytes: number;
  atLeast: number;
  /** Null: no limit. */
  atMost: number | null;
}

export interface CapacityRequest {
  parameters: VolumeParameters;
  /** Only volumes that have a copy on one of these nodes. */
  within?: string[];
}

export interface CapacityAnswer {
  availableBytes: number;
  biggestVolumeBytes: number;
}

/** Implemented by the controller role. Every call ends soon after its signal aborts. */
export interface ControllerPort {
  /** Makes the volume, or finds the same one; resolves when its first use is possible. */
  create(request: CreateRequest, signal: AbortSignal): Promise<VolumeSummary>;
  /** Begins the deletion; a volume that does not exist is deleted already. */
  remove(volumeID: string, signal: AbortSignal): Promise<void>;
  /** Writes that a volume shall be bigger, if it can come about; resolves with its size. @throws VolumeNotFound, NoCapacity, SizeOutOfRange */
  expand(request: ExpandRequest, signal: AbortSignal): Promise<number>;
  /** Writes what is wanted of an existing volume; the healing makes it true. @throws VolumeNotFound */
  modify(request: ModifyRequest, signal: AbortSignal): Promise<void>;
  /** Null if there is no such volume (any more). */
  find(volumeID: string, signal: AbortSignal): Promise<VolumeSummary | null>;
  /** Every volume that is not being deleted, in order of id. */
  list(signal: AbortSignal): Promise<VolumeSummary[]>;
  capacity(request: CapacityRequest, signal: AbortSignal): Promise<CapacityAnswer>;
}
