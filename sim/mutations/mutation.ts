/** A planted fault: production code of the protocol with one thing wrong, at the places where the model calls it. */
import type { RecordAction } from "../../src/core/action.ts";
import type { Plan, PlanInput } from "../../src/core/plan-types.ts";
import type { RecordResult } from "../../src/core/record.ts";
import type { NodeState, Protocol, World } from "../../src/core/testing/world.ts";
import type { Grain } from "../grain.ts";
import type { VolumeStatus } from "../../src/api/volume.ts";

export interface Mutation {
  /** What is wrong, in words. */
  tells: string;
  plant(protocol: Protocol): Protocol;
  /** Where chance comes by it too rarely: everything that follows from this scene without a fault is searched instead. */
  scene?: { name: string; grain: Grain; depth: number };
}

/** The planner is shown something else than what is. */
export function misled(tells: string, change: (input: PlanInput, w: World, n: NodeState) => PlanInput): Mutation {
  return { tells, plant: (protocol) => ({ ...protocol, plan: (input, w, n) => protocol.plan(change(input, w, n), w, n) }) };
}

/** The planner is shown another record. */
export function misread(tells: string, change: (status: VolumeStatus, input: PlanInput, w: World, n: NodeState) => VolumeStatus): Mutation {
  return misled(tells, (input, w, n) => ({ ...input, volume: { ...input.volume, status: change(input.volume.status ?? {}, input, w, n) } }));
}

/** Something else is done than was planned. */
export function replanned(tells: string, change: (plan: Plan, input: PlanInput, w: World, n: NodeState) => Plan): Mutation {
  return { tells, plant: (protocol) => ({ ...protocol, plan: (input, w, n) => change(protocol.plan(input, w, n), input, w, n) }) };
}

/** A change of the record writes something else. */
export function miswritten(tells: string, kind: RecordAction["kind"], change: (now: VolumeStatus, before: VolumeStatus) => VolumeStatus): Mutation {
  return {
    tells,
    plant: (protocol) => ({
      ...protocol,
      record: (action, volume, context): RecordResult => {
        const result = protocol.record(action, volume, context);
        return result.ok && action.kind === kind ? { ok: true, status: change(result.status, volume.status ?? {}) } : result;
      },
    }),
  };
}
