/** Planted faults in who may own a volume, what it may go on with, and what it may format (I2, I3, I4, I6). */
import type { Action } from "../../src/core/action.ts";
import type { PlanInput } from "../../src/core/plan-types.ts";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import type { Identity } from "../../src/core/record.ts";
import type { Protocol } from "../../src/core/testing/world.ts";
import type { Mutation } from "./mutation.ts";
import { misled, replanned } from "./mutation.ts";

/** The owner as a node sees itself that does not look at which of its boots is named. */
function asMine(volume: MeshStorVolume, me: { nodeUID: string; bootID: string }): MeshStorVolume {
  const owner = volume.status?.owner;
  return owner?.nodeUID === me.nodeUID ? { ...volume, status: { ...volume.status, owner: { ...owner, bootID: me.bootID } } } : volume;
}

/** What an earlier boot claimed counts as claimed by this process. */
function adopting(input: PlanInput): PlanInput {
  const { owner, epoch = 0 } = input.volume.status ?? {};
  if (owner?.nodeUID !== input.me.nodeUID || owner.bootID === input.me.bootID) return input;
  return { ...input, volume: asMine(input.volume, input.me), session: { ...input.session, claimedEpoch: epoch } };
}

/** Whoever has windows open is the owner to himself; his changes go over any epoch. */
function uncompared(protocol: Protocol): Protocol {
  const running = new Set<string>();
  const mine = (volume: MeshStorVolume, { nodeName, nodeUID, bootID }: Identity): MeshStorVolume => {
    const { owner } = volume.status ?? {};
    return owner && running.has(nodeName) ? { ...volume, status: { ...volume.status, owner: { ...owner, nodeName, nodeUID, bootID } } } : volume;
  };
  return {
    ...protocol,
    plan: (input, w, n) => {
      const { epoch = 0 } = input.volume.status ?? {};
      const windows = input.host.windows.map((x) => ({ ...x, epoch }));
      if (windows.length > 0) running.add(n.name);
      else running.delete(n.name);
      return protocol.plan({ ...input, volume: mine(input.volume, input.me), host: { ...input.host, windows } }, w, n);
    },
    record: (action, volume, context) => protocol.record(action, mine(volume, context.me), { ...context, epoch: volume.status?.epoch ?? 0 }),
  };
}

/** The filesystem is made before the volume is mounted, whatever lies there. */
function formatFirst(actions: Action[], { volume }: PlanInput): Action[] {
  const uuid = volume.status?.filesystem?.uuid;
  return actions.flatMap((action): Action[] =>
    action.kind === "MountStage" && uuid !== undefined
      ? [{ kind: "MakeFilesystem", device: action.device, fsType: action.fsType, uuid, sectorSize: 4096, stripes: 1, why: "planted" }, action]
      : [action],
  );
}

export const OWNER: Readonly<Record<string, Mutation>> = {
  "lease-ignored": misled("an owner is judged gone whatever its heartbeat says", (input) => {
    const owner = input.volume.status?.owner?.nodeName;
    const peers = input.peers && new Map([...input.peers].map(([name, peer]) => [name, name === owner ? { ...peer, silentMs: 1e9 } : peer]));
    return { ...input, peers };
  }),
  "another-boot-adopted": {
    tells: "a node goes on as the owner that an earlier boot of it was, in the epoch claimed then",
    plant: (protocol) => ({
      ...protocol,
      plan: (input, w, n) => protocol.plan(adopting(input), w, n),
      record: (action, volume, context) => protocol.record(action, asMine(volume, context.me), context),
    }),
  },
  "epoch-not-compared": { tells: "a former owner that still runs the volume takes the record for its own, whatever epoch it is at", plant: uncompared },
  "format-on-non-blank": replanned("a filesystem is made before each mount, whatever lies there", (plan, input) => ({ ...plan, actions: formatFirst(plan.actions, input) })),
};
