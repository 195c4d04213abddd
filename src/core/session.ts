/**
 * What this process itself has done and seen for one volume: the only memory beside the record and the
 * kernel. Losing it (a restart) is always safe: the planner then does the step again, with a new
 * generation, attach number or epoch. Nothing here is ever written down.
 */
import type { ErrorCode } from "../base/errors.ts";
import type { Action } from "./action.ts";

export interface Session {
  /** Epoch claimed by this process; arrays are only assembled in it. */
  readonly claimedEpoch: number | null;
  /** Monotonic ms of that claim. */
  readonly claimedAtMs: number;
  /** Losses recorded by this process after it saw them: `member@connection` (I1, Z2). */
  readonly recordedOut: readonly string[];
  /** Label content stamped by this process, by member: `epoch:generation` (Z20). */
  readonly stamped: Readonly<Record<string, string>>;
  /** Exports announced by this process in the record and not made yet; only these may be made, once (Z6). */
  readonly announced: readonly string[];
  /** Names that this process connected to; a connection is used once, also after it is gone (Z6). */
  readonly connected: readonly string[];
  /** Partitions whose zeroes this process proved before their first use (I7). */
  readonly zeroed: readonly string[];
  /** Partitions that this process wiped after their last use (I7). */
  readonly wiped: readonly string[];
  /** Long jobs under way, by `kind:partition`. */
  readonly jobs: readonly string[];
  /** Members that a bitmap re-add was refused for: rebuilt in full (I5). */
  readonly fullRebuild: readonly string[];
  /** No new attempt to join a member before this time (monotonic ms). */
  readonly joinNotBefore: Readonly<Record<string, number>>;
  readonly joinFailures: Readonly<Record<string, number>>;
  /** Members announced by this process as joining (RecordJoining) and not yet in. */
  readonly joining: readonly string[];
  /** Every mirror was stopped by this process with all of its R in sync and live (Z15). */
  readonly stopClean: boolean | null;
  /** mkfs ran to its end in this process for the recorded UUID. */
  readonly formatted: boolean;
  /** What follows from looking (look.ts). */
  readonly seen: Seen;
  /** Every user of the volume was killed by this process, and its filesystem shut down, since it was last mounted (I4). */
  readonly killed: boolean;
  readonly shutDown: boolean;
  /** MD refused to assemble all of R together in this epoch: each mirror starts with one member (I3). */
  readonly startAlone: boolean;
  /** What partitions have grown by, zeroed by this process: `partition:size` (I7). */
  readonly extended: readonly string[];
  /** Size of the volume that this process has grown its filesystem to. */
  readonly filesystemBytes: number | null;
}

/** Since when something holds, in monotonic ms: noted at every look at record and kernel. */
export interface Seen {
  /** First look of this process. */
  readonly firstMs: number | null;
  /** Last look at which every counted member's connection was live, or there was none to count (I10). */
  readonly provenMs: number | null;
  /** The volume has been suspended, or a member held, since. */
  readonly stuckMs: number | null;
  /** A member of R has been failed by MD itself, and not recorded out, since (I1). */
  readonly failedMs: number | null;
  /** Epoch of the record, and since when this node's partitions have no export of an older one (I10). */
  readonly cut: { readonly epoch: number; readonly sinceMs: Readonly<Record<string, number>> };
  /** Members of this node's drives that have requests under way and have completed none, since; with the count of completed ones. */
  readonly silent: Readonly<Record<string, { readonly completed: number; readonly sinceMs: number }>>;
}

export const NOTHING_SEEN: Seen = { firstMs: null, provenMs: null, stuckMs: null, failedMs: null, cut: { epoch: 0, sinceMs: {} }, silent: {} };

export const EMPTY_SESSION: Session = {
  claimedEpoch: null,
  claimedAtMs: 0,
  recordedOut: [],
  stamped: {},
  announced: [],
  connected: [],
  zeroed: [],
  wiped: [],
  jobs: [],
  fullRebuild: [],
  joinNotBefore: {},
  joinFailures: {},
  joining: [],
  stopClean: null,
  formatted: false,
  seen: NOTHING_SEEN,
  killed: false,
  shutDown: false,
  startAlone: false,
  extended: [],
  filesystemBytes: null,
};

/** Key of one loss: the member through this very connection (or window, for a local one). */
export function lossKey(partitionUUID: string, through: string): string {
  return `${partitionUUID}@${through}`;
}

export function jobKey(action: Action): string | null {
  // They write through the volume: while their writes are held, the loop that releases them must go on.
  if (action.kind === "MakeFilesystem" || action.kind === "GrowFilesystem") return `${action.kind}:${action.device}`;
  return action.kind === "ZeroPartition" || action.kind === "WipePartition" || action.kind === "ZeroExtension" ? `${action.kind}:${action.partitionUUID}` : null;
}

/** A job of this process works on the partition: it is used for nothing else meanwhile, whatever the record says (I7). */
export function hasJob(session: Session, partitionUUID: string): boolean {
  return session.jobs.some((job) => job.endsWith(`:${partitionUUID}`));
}

const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 300_000;

/** What is remembered after an action ended well. `losses` are the loss keys that a RecordOut was made for. */
export function afterSuccess(session: Session, action: Action, facts: { epoch: number; nowMs: number; losses: readonly string[]; nqn?: string }): Session {
  switch (action.kind) {
    case "RecordClaim":
      return { ...keepProvider(session), claimedEpoch: facts.epoch, claimedAtMs: facts.nowMs };
    case "RecordOut":
    case "RecordRetire":
      return {
        ...session,
        recordedOut: [...new Set([...session.recordedOut, ...facts.losses])],
        joining: session.joining.filter((uuid) => !action.members.some((m) => m.partitionUUID === uuid)),
      };
    case "StopMirror":
      return { ...session, stopClean: (session.stopClean ?? true) && action.clean };
    case "StampLabel":
      return { ...session, stamped: { ...session.stamped, ...Object.fromEntries(action.devices.map((d) => [d.partitionUUID, `${action.epoch}:${d.generation}`])) } };
    case "RecordExport":
      return facts.nqn ? { ...session, announced: [...session.announced, facts.nqn] } : session;
    case "CreateExport":
    case "CutExport":
      // Whole or gone: found otherwise later, it is announced anew under the next number.
      return { ...session, announced: session.announced.filter((nqn) => nqn !== action.nqn) };
    case "Connect":
      return { ...session, connected: [...session.connected, action.nqn] };
    case "CreatePartition":
      // A partition made anew proves nothing about its content.
      return { ...session, zeroed: session.zeroed.filter((uuid) => uuid !== action.partitionUUID) };
    case "ZeroPartition":
      return { ...session, zeroed: [...session.zeroed, action.partitionUUID] };
    case "ZeroExtension":
      return { ...session, extended: [...session.extended, `${action.partitionUUID}:${action.toBytes}`] };
    case "GrowFilesystem":
      return { ...session, filesystemBytes: action.sizeBytes };
    case "WipePartition":
      return { ...session, wiped: [...session.wiped, action.partitionUUID] };
    case "RecordJoining":
      // The next loss of this member is a new one, also through a device of the same name (I1).
      return {
        ...session,
        recordedOut: session.recordedOut.filter((key) => !key.startsWith(`${action.member.partitionUUID}@`)),
        joining: [...new Set([...session.joining, action.member.partitionUUID])],
      };
    case "RecordIn":
      return {
        ...session,
        joining: session.joining.filter((u) => !action.members.some((m) => m.partitionUUID === u)),
        joinFailures: without(session.joinFailures, action.members),
        joinNotBefore: without(session.joinNotBefore, action.members),
        fullRebuild: session.fullRebuild.filter((u) => !action.members.some((m) => m.partitionUUID === u)),
      };
    case "MakeFilesystem":
      return { ...session, formatted: true };
    case "KillUsers":
    case "ShutdownFilesystem":
    case "MountStage":
    case "BindDevice":
      return { ...session, ...stopOf(action.kind, session) };
    case "RecordRelease":
      return keepProvider(session);
    default:
      return session;
  }
}

/** How far a stop by force has come; what is mounted anew begins with none. */
function stopOf(kind: "KillUsers" | "ShutdownFilesystem" | "MountStage" | "BindDevice", { killed, shutDown }: Session): Pick<Session, "killed" | "shutDown"> {
  if (kind === "KillUsers") return { killed: true, shutDown };
  return kind === "ShutdownFilesystem" ? { killed, shutDown: true } : { killed: false, shutDown: false };
}

/** A new epoch forgets everything that concerned the owner's part of the old one. */
function keepProvider(session: Session): Session {
  const { announced, zeroed, wiped, extended, jobs, seen } = session;
  return { ...EMPTY_SESSION, announced, zeroed, wiped, extended, jobs, seen: { ...NOTHING_SEEN, cut: seen.cut } };
}

/** A join that failed or was lost again is tried later, each time at twice the distance. */
export function afterJoinFailure(session: Session, partitionUUID: string, nowMs: number, full: boolean): Session {
  const failures = (session.joinFailures[partitionUUID] ?? 0) + 1;
  const delay = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
  return {
    ...session,
    joining: session.joining.filter((uuid) => uuid !== partitionUUID),
    joinFailures: { ...session.joinFailures, [partitionUUID]: failures },
    joinNotBefore: { ...session.joinNotBefore, [partitionUUID]: nowMs + (full ? 0 : delay) },
    fullRebuild: full ? [...new Set([...session.fullRebuild, partitionUUID])] : session.fullRebuild,
  };
}

/** What is remembered after a host action failed. */
export function afterFailure(session: Session, action: Action, code: ErrorCode, nowMs: number): Session {
  switch (action.kind) {
    case "ReAddMember":
    case "AddMember":
      // Tried again later; one that the bitmaps could not prove right is rebuilt in full (I5).
      return afterJoinFailure(session, action.partitionUUID, nowMs, action.kind === "ReAddMember" && code === "Unsafe");
    case "AssembleMirror":
      // MD does not take them all although the stop was clean: any one of R has every acknowledged write (L1, I3).
      return code === "Unsafe" ? { ...session, startAlone: true } : session;
    case "UnmountStage":
    case "RemoveVolumeDevice":
      // Somebody came to use the volume after its users were killed: they are killed again (I4).
      return { ...session, killed: false };
    default:
      return session;
  }
}

function without(map: Readonly<Record<string, number>>, members: readonly { partitionUUID: string }[]): Record<string, number> {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !members.some((m) => m.partitionUUID === key)));
}
