/** CSI Node: checks arguments, keeps one operation per volume, and hands over to the agent. */
import { VOLUME_TOPOLOGY_KEY } from "../api/names.ts";
import { asMeshStorError, MeshStorError } from "../base/errors.ts";
import { type BoundService, bindService } from "./adapter.ts";
import { checkCapability } from "./capabilities.ts";
import { checkApart, checkExpansion, checkPath, checkVolumeID } from "./checks.ts";
import { Node, NodeServiceCapability_RPC_Type as Rpc, VolumeUsage_Unit } from "./gen/csi_pb.ts";
import type { NodePort, Usage, VolumeStats } from "./node-port.ts";
import { VolumeLocks } from "./volume-lock.ts";

const CAPABILITIES = [Rpc.STAGE_UNSTAGE_VOLUME, Rpc.GET_VOLUME_STATS, Rpc.EXPAND_VOLUME, Rpc.VOLUME_CONDITION, Rpc.SINGLE_NODE_MULTI_WRITER];

/** The Node service over the agent. */
export function nodeService(port: NodePort): BoundService {
  const locks = new VolumeLocks();
  return bindService(Node, {
    nodeStageVolume: async (request, signal) => {
      const volumeID = checkVolumeID(request.volumeId);
      const stagingPath = checkPath("staging_target_path", request.stagingTargetPath);
      const { volumeMode, fsType, mountFlags, readOnly } = checkCapability(request.volumeCapability, "volume_capability");
      await locks.run(volumeID, "NodeStageVolume", () => port.stage({ volumeID, stagingPath, volumeMode, fsType, mountFlags, readOnly }, signal));
      return {};
    },
    nodeUnstageVolume: async (request, signal) => {
      const volumeID = checkVolumeID(request.volumeId);
      const stagingPath = checkPath("staging_target_path", request.stagingTargetPath);
      await locks.run(volumeID, "NodeUnstageVolume", () => port.unstage({ volumeID, stagingPath }, signal));
      return {};
    },
    nodePublishVolume: async (request, signal) => {
      const volumeID = checkVolumeID(request.volumeId);
      const targetPath = checkPath("target_path", request.targetPath);
      const wish = checkCapability(request.volumeCapability, "volume_capability");
      if (request.stagingTargetPath === "") throw new MeshStorError("NotStaged", `staging_target_path is missing: volume ${volumeID} must be staged first`);
      const stagingPath = checkPath("staging_target_path", request.stagingTargetPath);
      checkApart({ field: "target_path", path: targetPath }, { field: "staging_target_path", path: stagingPath });
      const { volumeMode, fsType, exclusive } = wish;
      const readOnly = request.readonly || wish.readOnly;
      await locks.run(volumeID, "NodePublishVolume", () => port.publish({ volumeID, stagingPath, targetPath, volumeMode, fsType, readOnly, exclusive }, signal));
      return {};
    },
    nodeUnpublishVolume: async (request, signal) => {
      const volumeID = checkVolumeID(request.volumeId);
      const targetPath = checkPath("target_path", request.targetPath);
      await locks.run(volumeID, "NodeUnpublishVolume", () => port.unpublish({ volumeID, targetPath }, signal));
      return {};
    },
    nodeGetVolumeStats: async (request, signal) => {
      const volumeID = checkVolumeID(request.volumeId);
      const volumePath = checkMountedPath(volumeID, request.volumePath);
      const stats = await port.stats({ volumeID, volumePath }, signal);
      return {
        usage: usagesOf(stats),
        volumeCondition: { abnormal: stats.abnormal, message: stats.message },
      };
    },
    nodeExpandVolume: async (request, signal) => {
      const volumeID = checkVolumeID(request.volumeId);
      const volumePath = checkMountedPath(volumeID, request.volumePath);
      if (request.volumeCapability) checkCapability(request.volumeCapability, "volume_capability");
      const { requiredBytes = 0n, limitBytes = 0n } = request.capacityRange ?? {};
      const atLeast = requiredBytes > 0n || limitBytes > 0n ? checkExpansion(request.capacityRange).atLeast : 0;
      // Beside the lock: it only waits, for as long as a copy takes to move; a pod may be started or stopped meanwhile.
      return { capacityBytes: BigInt(await port.expand({ volumeID, volumePath, atLeast: requiredBytes > 0n ? atLeast : 0 }, signal)) };
    },
    nodeGetCapabilities: () => ({ capabilities: CAPABILITIES.map((type) => ({ type: { case: "rpc" as const, value: { type } } })) }),
    nodeGetInfo: () => {
      const { nodeID, maxVolumes, topology } = port.info();
      return { nodeId: nodeID, maxVolumesPerNode: BigInt(maxVolumes), accessibleTopology: { segments: { [VOLUME_TOPOLOGY_KEY]: nodeID, ...topology } } };
    },
  });
}

/** A path at which a volume can be; at any other there is none, which CSI wants to hear as NOT_FOUND. */
function checkMountedPath(volumeID: string, path: string): string {
  if (path === "") throw new MeshStorError("InvalidParameter", "volume_path is missing");
  try {
    return checkPath("volume_path", path);
  } catch (error) {
    throw new MeshStorError("VolumeNotFound", `volume ${volumeID} is not mounted there: ${asMeshStorError(error).message}`);
  }
}

function usagesOf({ bytes, inodes, size }: VolumeStats) {
  if (size !== undefined) return [{ total: BigInt(size), unit: VolumeUsage_Unit.BYTES }];
  return [...(bytes ? [usage(bytes, VolumeUsage_Unit.BYTES)] : []), ...(inodes ? [usage(inodes, VolumeUsage_Unit.INODES)] : [])];
}

function usage({ total, used, available }: Usage, unit: VolumeUsage_Unit) {
  return { total: BigInt(total), used: BigInt(used), available: BigInt(available), unit };
}
