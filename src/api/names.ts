/** Every name that we give to something, and how it is read back. Pure. */

export const DRIVER_NAME = "io.meshstor.csi.mesh";
export const API_GROUP = "csi.meshstor.io";
export const API_VERSION = "v1alpha1";
export const NAMESPACE = "meshstor";
/** Keeps a deleted volume's object until every partition is wiped and freed. */
export const FINALIZER = "csi.meshstor.io/partitions";
/** Node annotation that overrides the address for NVMe over TCP. */
export const TCP_ADDRESS_ANNOTATION = "meshstor.io/nvme-over-tcp-address";
/** Node annotation, "true": every copy leaves the node, and none comes to it. */
export const EMPTY_ANNOTATION = "meshstor.io/empty";
/** Node annotation, a time (RFC 3339): until then nothing that is missing on the node is replaced. */
export const MAINTENANCE_ANNOTATION = "meshstor.io/maintenance-until";
/** Condition of a Node: whether it can be rebooted now; written by the controller (core/safe-to-reboot.ts). */
export const SAFE_TO_REBOOT = "MeshStorSafeToReboot";
export const TCP_PORT = 4420;
/** CSI topology key: first placement and capacity only, never node affinity of the PV. */
export const VOLUME_TOPOLOGY_KEY = "topology.io.meshstor.csi.mesh/node";

/** GPT type of every partition that is ours (I9); made for this project, used by nobody else. */
export const PARTITION_TYPE = "6D657368-5374-4F72-A1B2-564F4C554D45";
const NQN_PREFIX = "nqn.2025-12.io.meshstor:";

/** GPT partition label, at most 36 characters. */
export function partitionLabel(volumeUID: string, mirror: number): string {
  return `meshstor-${volumeUID.slice(0, 18)}-m${mirror}`;
}

/** Device-mapper name of the volume device: /dev/mapper/meshstor-<volume>. */
export function volumeDeviceName(volumeName: string): string {
  return `meshstor-${volumeName}`;
}
export function volumeDeviceUUID(volumeUID: string): string {
  return `MESHSTOR-VOLUME-${volumeUID}`;
}
/** Device-mapper name of a member's window: the member without its label area. */
export function windowName(partitionUUID: string): string {
  return `msmember-${partitionUUID}`;
}
/** The window's device-mapper UUID carries the epoch, so that a running array says whose it is (I4). */
export function windowUUID(partitionUUID: string, epoch: number): string {
  return `MESHSTOR-MEMBER-${partitionUUID}-e${epoch}`;
}
/** Reads a window's UUID back; null if it is not ours. */
export function parseWindowUUID(uuid: string): { partitionUUID: string; epoch: number } | null {
  const match = /^MESHSTOR-MEMBER-([0-9a-f-]{36})-e(\d+)$/.exec(uuid);
  return match ? { partitionUUID: match[1]!, epoch: Number(match[2]) } : null;
}

/** The name of one export: one member, one epoch, one attach number (I2, "a connection is used once"). */
export interface ExportName {
  partitionUUID: string;
  epoch: number;
  attach: number;
}
export function exportNQN(name: ExportName): string {
  return `${NQN_PREFIX}${name.partitionUUID}:e${name.epoch}:a${name.attach}`;
}
/** Reads an export's NQN back; null if it is not ours. */
export function parseExportNQN(nqn: string): ExportName | null {
  const match = /^nqn\.2025-12\.io\.meshstor:([0-9a-f-]{36}):e(\d+):a(\d+)$/.exec(nqn);
  if (!match) return null;
  return { partitionUUID: match[1]!, epoch: Number(match[2]), attach: Number(match[3]) };
}
/** Host NQN and host ID of a node derive from its Kubernetes UID. */
export function hostNQN(nodeUID: string): string {
  return `nqn.2014-08.org.nvmexpress:uuid:${nodeUID}`;
}

/** Name of the Lease of the controller that leads. */
export const CONTROLLER_LEASE = "controller";
/** Name of a node's Lease. */
export function nodeLeaseName(nodeName: string): string {
  return `node-${nodeName}`;
}
