/** Planted faults in the way a member comes back, joins, or leaves for good (I1, I5, I9). */
import type { RecordAction } from "../../src/core/action.ts";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import type { Mutation } from "./mutation.ts";
import { misled, misread, miswritten, replanned } from "./mutation.ts";

/** Owner's changes are made from the record that was planned with, whatever stands there now. */
const fromOldView: Mutation["plant"] = (protocol) => {
  const planned = new Map<string, MeshStorVolume>();
  return {
    ...protocol,
    plan: (input, w, n) => {
      planned.set(n.name, input.volume);
      return protocol.plan(input, w, n);
    },
    record: (action: RecordAction, volume, context) => {
      const old = planned.get(context.me.nodeName);
      return protocol.record(action, action.kind === "RecordClaim" || !old ? volume : old, context);
    },
  };
};

export const RETURN: Readonly<Record<string, Mutation>> = {
  "bare-re-add": {
    tells: "a member returns by the array's bitmap alone, without its own",
    scene: { name: "old-owner-returns", grain: "batch", depth: 24 },
    plant: (protocol) => ({
      ...protocol,
      host: function* (w, n, action) {
        if (action.kind === "ReAddMember") n.windows.find((x) => x.uuid === action.partitionUUID)?.part.superblock?.bitmap.clear();
        yield* protocol.host(w, n, action);
      },
    }),
  },
  "claims-kept": miswritten("absent members keep their claim on a bitmap that is about to be cleared", "RecordJoining", (now, before) => ({
    ...now,
    partitions: (now.partitions ?? []).map((p) => {
      const old = before.partitions?.find((x) => x.partitionUUID === p.partitionUUID)?.outSince;
      return old === undefined ? p : { ...p, outSince: old };
    }),
  })),
  "in-sync-too-early": misled("a member is recorded in sync while it is still rebuilt", (input) => ({
    ...input,
    host: {
      ...input.host,
      mirrors: input.host.mirrors.map((a) => ({
        ...a,
        syncAction: "idle",
        members: a.members.map((m) => ({ ...m, flags: m.flags.map((flag) => (flag === "spare" ? "in_sync" : flag)) })),
      })),
    },
  })),
  "never-recorded-in": replanned("a member that is in sync again is never recorded", (plan) => ({ ...plan, actions: plan.actions.filter((action) => action.kind !== "RecordIn") })),
  "wiped-before-detached": misread("a retired member is wiped before its owner has let it go", (status) => ({
    ...status,
    partitions: (status.partitions ?? []).map((p) => (p.state === "Replacing" ? { ...p, state: "Deleting" as const, detached: true } : p)),
  })),
  "old-view-written": { tells: "the record is written from an old view of it", plant: fromOldView },
};
