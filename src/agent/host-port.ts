/** The real host behind the agent's ports: adapters of src/host, and nothing of its own. */
import type { Drive } from "../core/observed.ts";
import { applyHostAction } from "../host/apply.ts";
import { ext4Errors } from "../host/ext4/errors.ts";
import { driveFingerprint, readDriveTable } from "../host/gpt/table.ts";
import { initializeDrive } from "../host/gpt/initialize.ts";
import { makeDirectory, pathKind, removeDirectory } from "../host/mount/paths.ts";
import { controllersLive, degraded, observeHost } from "../host/observe.ts";
import { filesystemUsage } from "../host/stats.ts";
import type { CsiHost } from "./csi-port.ts";
import type { HostPort } from "./ports.ts";

/** Adapters for a node; host NQN and host ID derive from `nodeUID`. */
export function createHost(nodeUID: string): HostPort & Omit<CsiHost, "snapshot"> {
  const apply = (action: Parameters<typeof applyHostAction>[0], onProgress: (fraction: number) => void = () => {}) => applyHostAction(action, { nodeUID, onProgress });
  return {
    observe: observeHost,
    readDriveTable,
    fingerprint: (drive: Drive) => driveFingerprint(drive.device),
    initializeDrive,
    apply,
    controllersLive,
    degraded,
    pathKind,
    makeDirectory,
    removeDirectory,
    bindDevice: (device, target) => apply({ kind: "BindDevice", device, target }),
    ext4Errors,
    mountPublish: (source, target, readOnly) => apply({ kind: "MountPublish", source, target, readOnly }),
    unmount: (target) => apply({ kind: "UnmountPublish", target }),
    usage,
  };
}

async function usage(path: string): Promise<Awaited<ReturnType<CsiHost["usage"]>>> {
  const u = await filesystemUsage(path);
  return {
    bytes: { total: u.totalBytes, used: u.usedBytes, available: u.availableBytes },
    inodes: { total: u.totalInodes, used: u.usedInodes, available: u.freeInodes },
  };
}
