/** The mirror of the host layer's tests: a partition on n1, which owns it, and one on n2, which exports it to n1. */
import { exportNQN, hostNQN } from "../../src/api/names.ts";
import { PARTITION_OVERHEAD } from "../../src/base/layout.ts";
import { MiB } from "../../src/base/units.ts";
import type { HostAction } from "../../src/core/action.ts";
import type { HostNode } from "./lab-node.ts";

export const VOLUME_UID = "0b7c4c5e-1111-4222-8333-944444444444";
export const ARRAY = "a1b2c3d4-e5f6-4711-8899-aabbccddeeff";
export const LOCAL = "11111111-aaaa-4bbb-8ccc-000000000001";
export const REMOTE = "22222222-aaaa-4bbb-8ccc-000000000002";
export const FS_UUID = "33333333-aaaa-4bbb-8ccc-000000000003";
export const SIZE = 512 * MiB;
export const PART = SIZE + PARTITION_OVERHEAD;

/** Name of the export of the remote member. */
export const nqn = (attach: number, epoch = 1): string => exportNQN({ partitionUUID: REMOTE, epoch, attach });

/** n2 exports `device` to n1. */
export function exportAction(n1: HostNode, n2: HostNode, device: string, attach: number, epoch = 1): HostAction {
  return { kind: "CreateExport", nqn: nqn(attach, epoch), partitionUUID: REMOTE, device, hostNQN: hostNQN(n1.uid), address: n2.address, port: 4420 };
}

/** n1 connects to it. */
export function connectAction(n2: HostNode, attach: number, epoch = 1): HostAction {
  return { kind: "Connect", nqn: nqn(attach, epoch), partitionUUID: REMOTE, address: n2.address, port: 4420 };
}
