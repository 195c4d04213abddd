/** `empty` and `maintenance`: what is wanted of a whole node, kept as annotations of its Node object. */
import { EMPTY_ANNOTATION, MAINTENANCE_ANNOTATION } from "../api/names.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import { MeshStorError } from "../base/errors.ts";
import { recordedIn, sentenceOf, wantedMembers } from "../core/sentence.ts";
import type { Node } from "../kube/resources.ts";
import { NODES, VOLUMES } from "../kube/resources.ts";
import type { Context } from "./context.ts";
import { say } from "./context.ts";
import { during } from "./failure.ts";
import { getNode } from "./objects.ts";
import { waitFor } from "./wait.ts";
import type { WaitOptions } from "./wait-options.ts";

export interface EmptyOptions extends WaitOptions {
  undo?: boolean;
}

/** `kubectl meshstor empty NODE` */
export async function emptyCommand(context: Context, name: string, { undo, wait, timeout }: EmptyOptions): Promise<void> {
  await annotate(context, name, EMPTY_ANNOTATION, undo ? null : "true");
  if (undo) return say(context, `node ${name}: it may hold copies again; what has left it stays where it is`);
  const there = await volumesOn(context, name);
  say(context, `node ${name}: every copy leaves it (${count(there.length)}), and none comes until 'empty --undo'`);
  if (!wait) return;
  await waitFor(context, `emptying node ${name}`, timeout, async () => {
    const left = await volumesOn(context, name);
    const [first] = left;
    return { done: left.length === 0, line: `node ${name}: ${count(left.length)} left${first ? `; ${first.metadata.name}: ${sentenceOf(first)}` : ""}` };
  });
}

export interface MaintenanceOptions {
  /** ms */
  for?: number;
  end?: boolean;
}

/** `kubectl meshstor maintenance NODE` */
export async function maintenanceCommand(context: Context, name: string, options: MaintenanceOptions): Promise<void> {
  if ((options.for === undefined) === !options.end) throw new MeshStorError("BadArgument", "either --for TIME or --end is wanted");
  if (options.for === undefined) {
    await annotate(context, name, MAINTENANCE_ANNOTATION, null);
    return say(context, `node ${name}: maintenance has ended; copies that stay missing are replaced after their time`);
  }
  const until = new Date(context.now() + options.for).toISOString().replace(/\.\d+Z$/, "Z");
  await annotate(context, name, MAINTENANCE_ANNOTATION, until);
  const there = await volumesOn(context, name);
  say(context, `node ${name}: no copy on it is replaced until ${until} (${count(there.length)})`);
  for (const volume of there.filter((v) => isAlone(v, name)))
    say(context, `volume ${volume.metadata.name}: its last copy in sync is on node ${name}; it stands still while the node is away`);
}

/** Annotations of a node are the wishes of many: a patch changes this one only. */
function annotate(context: Context, name: string, annotation: string, value: string | null): Promise<Node> {
  return during(`annotating node ${name}`, async () => {
    await getNode(context, name);
    return context.client.mergePatch(NODES, name, { metadata: { annotations: { [annotation]: value } } });
  });
}

/** Volumes of which something is on the node, also what is given up and not wiped yet. */
async function volumesOn(context: Context, node: string): Promise<MeshStorVolume[]> {
  const { items } = await during("listing volumes", () => context.client.list(VOLUMES));
  return items.filter((v) => (v.status?.partitions ?? []).some((p) => p.nodeID === node)).toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** Some mirror is in sync on this node only. */
function isAlone(volume: MeshStorVolume, node: string): boolean {
  const status = volume.status ?? {};
  const recorded = recordedIn(status);
  const members = wantedMembers(status).filter((p) => recorded.has(p.partitionUUID));
  return [...new Set(members.map((p) => p.mirror))].some((mirror) => members.every((p) => p.mirror !== mirror || p.nodeID === node));
}

function count(volumes: number): string {
  return volumes === 1 ? "1 volume" : `${volumes} volumes`;
}
