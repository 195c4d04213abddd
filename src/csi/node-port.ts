/**
 * What the CSI Node service asks of the agent. The edge (node.ts) has checked the arguments: ids
 * and paths are present, absolute and well formed. What needs the host (a path that is a file or
 * belongs to another volume) is the agent's to refuse, with an error of the table.
 */

import type { FsType, VolumeMode } from "../api/volume.ts";

export interface StageRequest {
  volumeID: string;
  stagingPath: string;
  volumeMode: VolumeMode;
  /** Null: the volume's own. */
  fsType: FsType | null;
  mountFlags: string[];
  readOnly: boolean;
}
export interface UnstageRequest {
  volumeID: string;
  stagingPath: string;
}
export interface PublishRequest {
  volumeID: string;
  stagingPath: string;
  targetPath: string;
  volumeMode: VolumeMode;
  fsType: FsType | null;
  readOnly: boolean;
  /** No other target of this volume may exist on the node (ReadWriteOncePod); refused with TargetInUse otherwise. */
  exclusive: boolean;
}
export interface UnpublishRequest {
  volumeID: string;
  targetPath: string;
}
export interface StatsRequest {
  volumeID: string;
  volumePath: string;
}
export interface Usage {
  total: number;
  used: number;
  available: number;
}
export interface VolumeStats {
  /** Of a filesystem. */
  bytes?: Usage;
  inodes?: Usage;
  /** Of a raw device, in bytes. */
  size?: number;
  /** True if the volume is degraded or worse; `message` says in which way. */
  abnormal: boolean;
  message: string;
}
export interface ExpandRequest {
  volumeID: string;
  volumePath: string;
  /** Bytes that the volume shall have at least; 0: as many as the volume's spec says. */
  atLeast: number;
}
export interface NodeInfo {
  nodeID: string;
  /** Volumes that this node can have staged at once; 0 means no limit. */
  maxVolumes: number;
  topology: Record<string, string>;
}

/** Implemented by the agent. Every call ends soon after its signal aborts, with the signal's reason. */
export interface NodePort {
  stage(request: StageRequest, signal: AbortSignal): Promise<void>;
  unstage(request: UnstageRequest, signal: AbortSignal): Promise<void>;
  publish(request: PublishRequest, signal: AbortSignal): Promise<void>;
  unpublish(request: UnpublishRequest, signal: AbortSignal): Promise<void>;
  stats(request: StatsRequest, signal: AbortSignal): Promise<VolumeStats>;
  /** Waits until the volume that is mounted there has grown; resolves with its size. */
  expand(request: ExpandRequest, signal: AbortSignal): Promise<number>;
  info(): NodeInfo;
}
