/** Deliberately wrong variants of the protocol (mutations), each of which the model's checks must find. */
import type { OwnerRecord, VolumeStatus } from "../../api/volume.ts";
import type { Action, ActionKind } from "../action.ts";
import type { Plan, PlanInput } from "../plan-types.ts";
import type { VolumeKind } from "./kind.ts";
import type { Wrong } from "./mutation.ts";

/** The planner sees another record than there is. */
function seeing(change: (status: VolumeStatus) => VolumeStatus): (input: PlanInput) => PlanInput {
  return (input) => ({ ...input, volume: { ...input.volume, status: change(input.volume.status ?? {}) } });
}

/** Steps that are left out, as if they had succeeded. */
function without(...kinds: ActionKind[]): (plan: Plan) => Plan {
  return (plan) => ({ ...plan, actions: plan.actions.filter((a) => !kinds.includes(a.kind)) });
}

function resumedInstead(action: Action): Action {
  return action.kind === "FailVolume" ? { kind: "ResumeVolume", name: action.name, notAfterMs: null, why: action.why } : action;
}

function unzeroed(action: Action): Action {
  return action.kind === "ZeroExtension" ? { kind: "RecordPartitionGrown", partitionUUID: action.partitionUUID, sizeBytes: action.toBytes, why: action.why } : action;
}

/** The record's owner as somebody else wants to see it. */
function ownerSeen(change: (owner: OwnerRecord, input: PlanInput) => OwnerRecord): (input: PlanInput) => PlanInput {
  return (input) => seeing((status) => (status.owner ? { ...status, owner: change(status.owner, input) } : status))(input);
}

/** Every mutation, with the rules of which one is broken when it is found, and the seed to look from. */
export const WRONG: Readonly<Record<string, { wrong: Wrong; rules: readonly string[]; from: number; kind?: VolumeKind; grows?: boolean }>> = {
  "a former owner is not waited for": {
    wrong: { input: seeing((status) => (status.former ? { ...status, former: status.former.map((f) => ({ ...f, waitMs: 0 })) } : status)) },
    rules: ["I10"],
    from: 180,
  },
  "nobody suspends": { wrong: { blindGuard: true, plan: without("SuspendVolume") }, rules: ["I10"], from: 95 },
  "the heartbeat is ignored": {
    wrong: {
      input: (input) => {
        const owner = input.volume.status?.owner?.nodeName;
        const peers = input.peers && new Map([...input.peers].map(([name, peer]) => [name, name === owner ? { ...peer, silentMs: 1e9 } : peer]));
        return { ...input, peers };
      },
    },
    rules: ["I2"],
    from: 1,
  },
  "held requests are released before their users are gone": { wrong: { immortalUsers: true }, rules: ["I1", "I4", "Z1", "Z2"], from: 1 },
  "a raw device goes on after its users were killed, for whoever comes after them": {
    wrong: { plan: (plan) => ({ ...plan, actions: plan.actions.map(resumedInstead) }) },
    rules: ["L1"],
    from: 100,
    kind: "block",
  },
  "what a partition has grown by is used as it was found": {
    wrong: { plan: (plan) => ({ ...plan, actions: plan.actions.map(unzeroed) }) },
    rules: ["I7"],
    from: 1,
    grows: true,
  },
  "all members start together after a takeover": { wrong: { input: ownerSeen((owner) => ({ ...owner, start: "Clean" })) }, rules: ["I3"], from: 80 },
  "the former owner's member comes back by the array's bitmap alone (E14)": { wrong: { bareReAdd: true }, rules: ["I5"], from: 1 },
};
