/** `kubectl meshstor move NAME --from NODE`: the volume shall have no copy on the node; the controller and the owner see to it. */
import type { MeshStorVolume, VolumeSpec } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import { nodesOf, wantedMembers } from "../core/sentence.ts";
import { audit, whoami } from "./audit.ts";
import type { Context } from "./context.ts";
import { say } from "./context.ts";
import { changeVolume, getVolume } from "./objects.ts";
import { lineOf, waitFor } from "./wait.ts";
import type { WaitOptions } from "./wait-options.ts";

export interface MoveOptions extends WaitOptions {
  from: string;
  undo?: boolean;
}

export async function moveCommand(context: Context, name: string, options: MoveOptions): Promise<void> {
  if (options.undo) return allow(context, name, options.from);
  await avoid(context, name, options.from);
  if (!options.wait) return;
  await waitFor(context, `moving volume ${name} off node ${options.from}`, options.timeout, async () => {
    const volume = await getVolume(context, name);
    const there = holds(volume, options.from);
    const whole = volume.status?.degraded === 0;
    return { done: !there && whole, line: `${lineOf(volume)}${there ? ` (the copy on node ${options.from} is still there)` : ""}` };
  });
}

async function avoid(context: Context, name: string, node: string): Promise<void> {
  let known = false;
  const written = await changeVolume(context, name, "moving a copy", (volume) => {
    if (!holds(volume, node)) {
      const nodes = nodesOf(wantedMembers(volume.status ?? {})) || "no node yet";
      throw new MeshStorError("BadArgument", `--from: volume ${name} has no copy on node ${node} (its copies are on ${nodes})`);
    }
    known = avoided(volume).includes(node);
    return known ? null : { avoidNodes: [...avoided(volume), node] };
  });
  requireKept(written, node);
  if (known) return say(context, `volume ${name}: its copy leaves node ${node} already`);
  say(context, `volume ${name}: its copy leaves node ${node} when another one is in sync; no copy goes there again until 'move --undo'`);
  await told(context, written, "Moved", `wants no copy on node ${node}`);
}

async function allow(context: Context, name: string, node: string): Promise<void> {
  let known = true;
  const written = await changeVolume(context, name, "allowing a node again", (volume) => {
    known = avoided(volume).includes(node);
    const left = avoided(volume).filter((each) => each !== node);
    return known ? { avoidNodes: left.length > 0 ? left : null } : null;
  });
  if (!known) return say(context, `volume ${name}: node ${node} may hold a copy already`);
  say(context, `volume ${name}: node ${node} may hold a copy again`);
  await told(context, written, "MoveUndone", `allows a copy on node ${node} again`);
}

async function told(context: Context, volume: MeshStorVolume, reason: string, what: string): Promise<void> {
  await audit(context, volume, { type: "Normal", reason, action: "Move", note: `${(await whoami(context)) ?? "somebody"} ${what}` });
}

function holds(volume: MeshStorVolume, node: string): boolean {
  return wantedMembers(volume.status ?? {}).some((p) => p.nodeID === node);
}

function avoided({ spec }: MeshStorVolume): string[] {
  return (spec as VolumeSpec & { avoidNodes?: string[] }).avoidNodes ?? [];
}

/** The server drops fields that its CRD does not know, without a word. */
function requireKept(volume: MeshStorVolume, node: string): void {
  if (!avoided(volume).includes(node))
    throw new MeshStorError("Unsafe", "the API server did not keep spec.avoidNodes: the CustomResourceDefinition in the cluster is not the one of this program");
}
