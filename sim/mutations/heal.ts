/** Planted faults in healing and moving: what is given up, and what leaves, before anything stands in its place (I7, I9). */
import type { Action } from "../../src/core/action.ts";
import type { PlanInput } from "../../src/core/plan-types.ts";
import { namedInR } from "../../src/core/record.ts";
import type { Mutation } from "./mutation.ts";

/** The copies that leave as soon as another one begins to come. */
function early(input: PlanInput): Action[] {
  const { partitions = [], owner } = input.volume.status ?? {};
  if (owner?.nodeName !== input.me.nodeName || !partitions.some((p) => p.state === "Syncing")) return [];
  const source = partitions.find((p) => p.state === "Synced" && p.nodeID !== input.me.nodeName);
  return source ? [{ kind: "RecordRetire", members: [{ partitionUUID: source.partitionUUID, mirror: source.mirror, attach: null }], why: "planted" }] : [];
}

export const HEAL: Readonly<Record<string, Mutation>> = {
  "source-retired-too-early": {
    tells: "a copy leaves as soon as the one that takes its place begins to come",
    plant: (protocol) => ({
      ...protocol,
      plan: (input, w, n) => {
        const plan = protocol.plan(input, w, n);
        return { ...plan, actions: [...early(input), ...plan.actions] };
      },
      record: (action, volume, context) => protocol.record(action, action.kind === "RecordRetire" ? { ...volume, spec: { ...volume.spec, numberOfCopies: 0 } } : volume, context),
    }),
  },
  "silent-copy-wiped": {
    tells: "the controller has a copy wiped that R names, because its node is silent",
    plant: (protocol) => ({
      ...protocol,
      heal: (input) => {
        const healing = protocol.heal(input);
        const status = healing.kind === "write" ? healing.status : (input.volume.status ?? {});
        const silent = (node: string) => !input.cluster.nodes.some((n) => n.name === node && n.ready);
        const lost = (status.partitions ?? []).filter((p) => p.state === "Synced" && namedInR(status, p.partitionUUID) && silent(p.nodeID));
        if (lost.length === 0) return healing;
        const partitions = (status.partitions ?? []).map((p) => (lost.includes(p) ? { ...p, state: "Deleting" as const, detached: true } : p));
        return { kind: "write", status: { ...status, partitions }, why: ["planted"] };
      },
    }),
  },
};
