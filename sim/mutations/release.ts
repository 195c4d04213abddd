/** Planted faults in the way a member leaves (I1) and in what the record says about it. */
import type { Action } from "../../src/core/action.ts";
import type { PlanInput } from "../../src/core/plan-types.ts";
import { lossKey } from "../../src/core/session.ts";
import { throughOf, viewVolume } from "../../src/core/view.ts";
import type { Mutation } from "./mutation.ts";
import { misled, miswritten, replanned } from "./mutation.ts";

const viewOf = (input: PlanInput) => viewVolume(input.volume, input.host, input.me);

/** The ioctl, or the end of its connection, for a member that the record is about to let go. */
function release(input: PlanInput, action: Action): Action[] {
  if (action.kind !== "RecordOut") return [action];
  const view = viewOf(input);
  const released = action.members.flatMap(({ partitionUUID }): Action[] => {
    const m = view.members.find((x) => x.uuid === partitionUUID)!;
    const array = view.mirrors[m.mirror]?.array;
    if (!array || !m.inArray || !m.window) return [];
    if (!m.inArray.flags.includes("faulty")) return [{ kind: "FailMember", device: array.device, partitionUUID, window: m.window.device, why: "planted" }];
    return m.connection ? [{ kind: "Disconnect", controller: m.connection.controller, nqn: m.connection.nqn, why: "planted" }] : [];
  });
  return released.length > 0 ? released : [action];
}

export const RELEASE: Readonly<Record<string, Mutation>> = {
  "release-before-record": replanned("a lost member is failed and disconnected before it is recorded out", (plan, input) => ({
    ...plan,
    actions: plan.actions.flatMap((action) => release(input, action)),
  })),
  "disconnect-before-fail": replanned("the connection of a lost member is deleted while MD still counts on it", (plan, input) => ({
    ...plan,
    actions: plan.actions.map((action): Action => {
      if (action.kind !== "FailMember") return action;
      const c = viewOf(input).members.find((m) => m.uuid === action.partitionUUID)?.connection;
      return c ? { kind: "Disconnect", controller: c.controller, nqn: c.nqn, why: "planted" } : action;
    }),
  })),
  "no-record-of-its-own": misled("a member that is not in R is released without a record by this process", (input) => {
    const recordedOut = viewOf(input).members.map((m) => lossKey(m.uuid, throughOf(m)));
    return { ...input, session: { ...input.session, recordedOut } };
  }),
  "survivors-not-stamped": misled("a loss is released before the survivors carry the new generation", (input) => {
    const view = viewOf(input);
    if (!view.mirrors.every((m) => m.array)) return input;
    const stamped = Object.fromEntries(view.members.map((m) => [m.uuid, `${view.epoch}:${view.mirrors[m.mirror]!.generation}`]));
    return { ...input, session: { ...input.session, stamped } };
  }),
  "generation-not-raised": miswritten("a record that takes a member out keeps the generation", "RecordOut", (now, before) => ({
    ...now,
    mirrors: (now.mirrors ?? []).map((m, i) => ({ ...m, generation: before.mirrors![i]!.generation })),
  })),
  "connection-not-given-up": miswritten("a record of a loss does not give the connection up", "RecordOut", (now, before) => ({
    ...now,
    partitions: (now.partitions ?? []).map((p) => {
      const { detachedAttach: _given, ...rest } = p;
      const old = before.partitions?.find((x) => x.partitionUUID === p.partitionUUID)?.detachedAttach;
      return old === undefined ? rest : { ...rest, detachedAttach: old };
    }),
  })),
  "clean-stop-claimed": replanned("every stop of an owner is recorded as clean", (plan, input) => ({
    ...plan,
    actions: plan.actions.map((action): Action => (action.kind === "RecordRelease" && viewOf(input).mine ? { ...action, clean: true } : action)),
  })),
  "unstaged-too-early": replanned("an unstage succeeds once nothing is mounted", (plan, input) =>
    input.intent.kind === "unstage" && input.host.mounts.length === 0 ? { ...plan, actions: [], refusal: null, done: true } : plan,
  ),
};
