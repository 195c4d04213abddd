/** Planted faults in taking an epoch, cutting the one before, and choosing who starts (I2, I3, I6, I7). */
import { exportNQN } from "../../src/api/names.ts";
import type { HostAction } from "../../src/core/action.ts";
import type { LateRequest, NodeState, Part, Protocol, World } from "../../src/core/testing/world.ts";
import { findPart } from "../../src/core/testing/world.ts";
import { viewVolume } from "../../src/core/view.ts";
import type { Mutation } from "./mutation.ts";
import { misled, misread, miswritten } from "./mutation.ts";

/** Kinds of host actions that do nothing and say that all is well. */
function leftOut(tells: string, kind: HostAction["kind"]): Mutation {
  return {
    tells,
    plant: (protocol) => ({
      ...protocol,
      host: function* (w, n, action) {
        if (action.kind !== kind) yield* protocol.host(w, n, action);
      },
    }),
  };
}

/** Requests that were under way at a cut land behind the next export. */
function undrained(protocol: Protocol): Protocol {
  const late = new WeakMap<Part, LateRequest[]>();
  return {
    ...protocol,
    host: function* (w: World, n: NodeState, action: HostAction) {
      const before = action.kind === "CutExport" ? n.exports.find((e) => e.nqn === action.nqn) : undefined;
      if (before) {
        for (const host of w.nodes) for (const c of host.conns) if (c.export === before) c.broken = true;
        late.set(before.part, [...(late.get(before.part) ?? []), ...before.late, ...underWay(w, before.part)]);
        before.late = [];
      }
      yield* protocol.host(w, n, action);
      const after = action.kind === "CreateExport" ? n.exports.find((e) => e.nqn === action.nqn) : undefined;
      if (after) after.late.push(...(late.get(after.part) ?? []));
      if (after) late.delete(after.part);
    },
  };
}

function underWay(w: World, part: Part): LateRequest[] {
  return w.nodes.flatMap((host) => host.arrays.flatMap((a) => a.writes.filter((x) => x.waiting.has(part.uuid)).map(({ block, phase, value }) => ({ block, phase, value }))));
}

export const START: Readonly<Record<string, Mutation>> = {
  "epoch-not-raised": miswritten("an assembly keeps the epoch of the one before", "RecordClaim", (now, before) => ({ ...now, epoch: Math.max(1, before.epoch ?? 0) })),
  "export-before-cut": misled("a member is exported anew while an older export is still there", (input) => {
    const { owner, epoch } = input.volume.status ?? {};
    return { ...input, host: { ...input.host, exports: input.host.exports.filter((e) => owner && e.epoch === epoch) } };
  }),
  "export-before-drain": { tells: "a cut does not wait for the requests under way", plant: undrained },
  "export-made-again": misled("an export that an earlier process left unfinished is completed", (input) => {
    const announced = (input.volume.status?.partitions ?? []).flatMap((p) =>
      p.export ? [exportNQN({ partitionUUID: p.partitionUUID, epoch: p.export.epoch, attach: p.export.attach })] : [],
    );
    return { ...input, session: { ...input.session, announced } };
  }),
  "connection-used-again": {
    ...misled("an export is connected to a second time", (input) => ({ ...input, session: { ...input.session, connected: [] } })),
    scene: { name: "starting", grain: "step", depth: 14 },
  },
  "newest-superblock": misread("assembled from the members whose superblock looks newest", (status, input, w) => {
    const view = viewVolume(input.volume, input.host, input.me);
    if (!view.mine || view.mirrors.some((m) => m.array) || !status.mirrors) return status;
    const mirrors = status.mirrors.map((mirror) => {
      const reached = view.members
        .filter((m) => m.mirror === mirror.index && m.path !== null)
        .map((m) => ({ uuid: m.uuid, events: findPart(w, m.uuid)?.superblock?.events ?? -1 }));
      const newest = Math.max(...reached.map((m) => m.events));
      const chosen = reached.filter((m) => m.events === newest).map((m) => m.uuid);
      return mirror.created && chosen.length > 0 ? { ...mirror, inSync: chosen } : mirror;
    });
    return { ...status, mirrors };
  }),
  "all-start-unclean": misread("all of R start together after an unclean stop", (status) => (status.owner ? { ...status, owner: { ...status.owner, start: "Clean" } } : status)),
  "stale-record": misled("decided on what the watch has delivered, never on a read", (input, w, n) => {
    const cached = w.api.versions[n.agent.cache];
    return cached ? { ...input, volume: cached } : input;
  }),
  "zeroing-left-out": leftOut("a partition is taken for zeroed although nothing was written", "ZeroPartition"),
  "wiping-left-out": leftOut("a partition is freed with its data on it", "WipePartition"),
  "formatted-again": misread("that a filesystem was made is forgotten", (status, input) => {
    if (!status.filesystem || input.host.mounts.length > 0) return status;
    return { ...status, filesystem: { uuid: status.filesystem.uuid } };
  }),
};
