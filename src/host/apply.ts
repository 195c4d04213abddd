/** The table from an action of the host to the adapter that carries it out; the compiler checks that it is complete. */
import type { HostAction } from "../core/action.ts";
import { closeWindow, createVolumeDevice, openWindow, removeVolumeDevice } from "./dm/devices.ts";
import { shutdownFilesystem } from "./fence/shutdown.ts";
import { resumeVolume, suspendVolume } from "./fence/suspend.ts";
import { growVolumeDevice, growWindow } from "./dm/grow.ts";
import { failVolume } from "./dm/fail.ts";
import { guardVolume } from "./guard/arm.ts";
import { growPartition, zeroExtension } from "./gpt/grow.ts";
import { createPartition, deletePartition } from "./gpt/partition.ts";
import { zeroPartition } from "./gpt/zero.ts";
import { stampLabels } from "./label/stamp.ts";
import { assembleMirror } from "./md/assemble.ts";
import { createMirror } from "./md/create.ts";
import { growMirror } from "./md/grow.ts";
import { addMember, failMember, removeMember, setWriteMostlyOf, shrinkMirror } from "./md/members.ts";
import { reAddMember } from "./md/readd.ts";
import { stopArray } from "./md/stop.ts";
import { bindDevice } from "./mount/bind-device.ts";
import { mountPublish, mountStage, unmountPublish, unmountStage } from "./mount/commands.ts";
import { connect } from "./nvme/connect.ts";
import { disconnect } from "./nvme/disconnect.ts";
import { cutExport } from "./nvmet/cut.ts";
import { createExport } from "./nvmet/export.ts";
import { killUsers } from "./users/kill.ts";
import { growFilesystem, makeFilesystem } from "./filesystem.ts";
import { untilLoss } from "./until-loss.ts";

export interface ApplyContext {
  /** Kubernetes UID of this node: host NQN and host ID derive from it. */
  nodeUID: string;
  /** Called with 0..1 during zeroing and wiping. */
  onProgress?(fraction: number): void;
}

type Adapters = { readonly [K in HostAction["kind"]]: (action: Extract<HostAction, { kind: K }>, context: ApplyContext) => Promise<void> };

const zero = (action: { device: string; partitionUUID: string }, context: ApplyContext): Promise<void> =>
  zeroPartition(action.device, action.partitionUUID, (fraction) => context.onProgress?.(fraction));

const ADAPTERS: Adapters = {
  CreatePartition: createPartition,
  ZeroPartition: zero,
  WipePartition: zero,
  DeletePartition: deletePartition,
  CutExport: cutExport,
  CreateExport: createExport,
  Connect: (action, context) => connect(action, context.nodeUID),
  Disconnect: disconnect,
  GrowPartition: growPartition,
  ZeroExtension: (action, context) => zeroExtension(action, (fraction) => context.onProgress?.(fraction)),
  OpenWindow: openWindow,
  GrowWindow: growWindow,
  CloseWindow: closeWindow,
  StampLabel: stampLabels,
  CreateMirror: createMirror,
  AssembleMirror: assembleMirror,
  FailMember: failMember,
  RemoveMember: (action) => untilLoss(action.device, action.window, () => removeMember(action)),
  ReAddMember: (action) => untilLoss(action.device, action.window, () => reAddMember(action)),
  AddMember: (action) => untilLoss(action.device, action.window, () => addMember(action)),
  ShrinkMirror: (action) => untilLoss(action.device, null, () => shrinkMirror(action)),
  GrowMirror: (action) => untilLoss(action.device, null, () => growMirror(action)),
  SetWriteMostly: (action) => untilLoss(action.device, action.window, () => setWriteMostlyOf(action)),
  StopMirror: (action) => stopArray(action.device),
  CreateVolumeDevice: createVolumeDevice,
  GrowVolumeDevice: growVolumeDevice,
  RemoveVolumeDevice: removeVolumeDevice,
  GuardVolume: guardVolume,
  SuspendVolume: suspendVolume,
  ResumeVolume: resumeVolume,
  KillUsers: killUsers,
  ShutdownFilesystem: shutdownFilesystem,
  FailVolume: failVolume,
  MakeFilesystem: makeFilesystem,
  MountStage: mountStage,
  GrowFilesystem: growFilesystem,
  BindDevice: bindDevice,
  UnmountStage: unmountStage,
  MountPublish: mountPublish,
  UnmountPublish: unmountPublish,
};

/**
 * Carries one action out. Idempotent: done twice, or killed in the middle and done again, it ends the
 * same. Throws a MeshStorError; nothing is half-reported as success.
 */
export function applyHostAction(action: HostAction, context: ApplyContext): Promise<void> {
  const adapter = ADAPTERS[action.kind] as (action: HostAction, context: ApplyContext) => Promise<void>;
  return adapter(action, context);
}
