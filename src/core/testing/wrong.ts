/** Deliberately wrong variants of the protocol (mutations), each of which the model's checks must find. */
import type { VolumeStatus } from "../../api/volume.ts";
import type { ActionKind } from "../action.ts";
import type { Plan, PlanInput } from "../plan-types.ts";
import type { Wrong } from "./world.ts";

/** The planner sees another record than there is. */
function seeing(change: (status: VolumeStatus) => VolumeStatus): (input: PlanInput) => PlanInput {
  return (input) => ({ ...input, volume: { ...input.volume, status: change(input.volume.status ?? {}) } });
}

/** Steps that are left out, as if they had succeeded. */
function without(...kinds: ActionKind[]): (plan: Plan) => Plan {
  return (plan) => ({ ...plan, actions: plan.actions.filter((a) => !kinds.includes(a.kind)) });
}

function changed(change: (action: Plan["actions"][number]) => Plan["actions"][number]): (plan: Plan) => Plan {
  return (plan) => ({ ...plan, actions: plan.actions.map(change) });
}

const withoutFormer = (status: VolumeStatus): VolumeStatus => {
  const { former: _former, ...rest } = status;
  return rest;
};

/** Every mutation, with the rules of which one is broken when it is found. */
export const WRONG: Readonly<Record<string, { wrong: Wrong; rules: readonly string[] }>> = {
  "a former owner is not waited for": { wrong: { input: seeing(withoutFormer) }, rules: ["I10"] },
  "nobody suspends": { wrong: { plan: without("GuardVolume", "SuspendVolume") }, rules: ["I10"] },
  "a guard that forgets what is in the array and not yet recorded": {
    wrong: { plan: changed((a) => (a.kind === "GuardVolume" ? { ...a, connections: [] } : a)) },
    rules: ["I10", "liveness"],
  },
  "a volume is resumed on an old proof": {
    wrong: { plan: changed((a) => (a.kind === "ResumeVolume" ? { ...a, notAfterMs: null } : a)) },
    rules: ["I10"],
  },
  "the heartbeat is ignored": {
    wrong: { input: (input) => ({ ...input, peers: input.peers && new Map([...input.peers].map(([name, peer]) => [name, { ...peer, silentMs: 1e9 }])) }) },
    rules: ["I2"],
  },
  "the former owner's users are told of held writes": {
    wrong: { input: (input) => ({ ...input, session: { ...input.session, killed: true, shutDown: true } }) },
    rules: ["I1", "Z1", "Z2", "I4", "I8"],
  },
  "all members start together after a takeover": {
    wrong: { input: seeing((status) => (status.owner ? { ...status, owner: { ...status.owner, start: "Clean" } } : status)) },
    rules: ["I3", "liveness"],
  },
  "the former owner's member comes back by the array's bitmap alone (E14)": { wrong: { bareReAdd: true }, rules: ["I5", "L1"] },
  "an epoch that is not ours is adopted": {
    wrong: {
      input: (input) => ({
        ...input,
        host: { ...input.host, windows: input.host.windows.map((x) => ({ ...x, epoch: input.volume.status?.epoch ?? 0 })) },
      }),
    },
    rules: ["I2", "I8", "liveness"],
  },
};
