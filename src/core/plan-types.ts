/** What the planner is given and what it answers; shared by all of its parts. */
import type { MeshStorVolume } from "../api/volume.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { Action } from "./action.ts";
import type { Bounds } from "./bounds.ts";
import type { Peers } from "./judge.ts";
import type { DriveTable, HostSnapshot } from "./observed.ts";
import type { Identity } from "./record.ts";
import type { Session } from "./session.ts";

/** What kubelet asked of this node for this volume. */
export type Intent = { kind: "none" } | { kind: "stage"; stagingPath: string; mountFlags: readonly string[]; readOnly: boolean } | { kind: "unstage"; stagingPath: string };

export interface PlanInput {
  volume: MeshStorVolume;
  host: HostSnapshot;
  me: Identity & { address: string; port: number };
  intent: Intent;
  session: Session;
  /** Tables of the drives with a GPT, by drive id; one that is not ours to use (section 2 of the design) has room for nothing. */
  tables: ReadonlyMap<string, DriveTable>;
  /** Monotonic ms. */
  nowMs: number;
  /** The other nodes as this one sees them; decides about takeover (decision 0011). */
  peers: Peers;
  bounds: Bounds;
  /** What this node promises with a claim (core/bounds.ts); null: no guard runs on this host (Z16). */
  promiseMs: number | null;
  /** Kubelet of this node is dead, and every pod that the volume is published to is gone; false unless the shell looked. */
  unattended: boolean;
}

export interface Plan {
  /** One batch; its actions do not depend on each other. */
  actions: Action[];
  /** Why nothing (more) is done now: what is waited for and who does it. */
  waits: string[];
  /** The intent cannot be met as things are. */
  refusal: { code: ErrorCode; message: string } | null;
  /** The intent is met: staged, or proven gone. */
  done: boolean;
}

export const NOTHING: Plan = { actions: [], waits: [], refusal: null, done: false };
export const act = (...actions: Action[]): Plan => ({ ...NOTHING, actions });
export const wait = (...waits: string[]): Plan => ({ ...NOTHING, waits });
export const refusePlan = (code: ErrorCode, message: string): Plan => ({ ...NOTHING, refusal: { code, message } });
