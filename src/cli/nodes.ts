/** `nodes`: what is on each node, and whether it can be rebooted, as its condition says. Nothing is changed. */
import { SAFE_TO_REBOOT } from "../api/names.ts";
import type { MeshStorNodeDevice } from "../api/node-device.ts";
import type { MeshStorVolume } from "../api/volume.ts";
import { wantedMembers } from "../core/sentence.ts";
import type { Node } from "../kube/resources.ts";
import { DEVICES, NODES, VOLUMES } from "../kube/resources.ts";
import type { Context, Output } from "./context.ts";
import { sayJson } from "./context.ts";
import { during } from "./failure.ts";
import { table } from "./table.ts";

interface NodeRow {
  name: string;
  drives: number;
  /** Partitions that are not given up. */
  copies: number;
  inUse: string[];
  cordoned: boolean;
  safeToReboot: { status: string; reason: string; message: string; since: string };
}

/** `kubectl meshstor nodes` */
export async function nodesCommand(context: Context, output: Output): Promise<void> {
  const [nodes, devices, volumes] = await during("listing nodes, drives and volumes", () => {
    const { client } = context;
    return Promise.all([client.list(NODES), client.list(DEVICES), client.list(VOLUMES)]);
  });
  const rows = rowsOf(nodes.items, devices.items, volumes.items);
  if (output === "json") sayJson(context, rows);
  else if (rows.length === 0) context.terminal.err("no nodes\n");
  else context.terminal.out(table(["NODE", "DRIVES", "COPIES", "IN USE", "CORDONED", "SAFE TO REBOOT", "WHY"], rows.map(cellsOf)));
}

/** Nodes that have drives, copies or volumes of ours, or of which the controller says whether they can be rebooted. */
export function rowsOf(nodes: readonly Node[], devices: readonly MeshStorNodeDevice[], volumes: readonly MeshStorVolume[]): NodeRow[] {
  const rows = nodes.flatMap((node): NodeRow[] => {
    const { name } = node.metadata;
    const told = node.status?.conditions?.find((c) => c.type === SAFE_TO_REBOOT);
    const drives = devices.filter((d) => d.status?.nodeName === name).length;
    const copies = volumes.flatMap((v) => wantedMembers(v.status ?? {})).filter((p) => p.nodeID === name).length;
    const inUse = volumes.filter((v) => v.status?.owner?.nodeName === name).map((v) => v.metadata.name);
    if (told === undefined && drives + copies + inUse.length === 0) return [];
    const { status = "Unknown", reason = "NotJudged", message = "the controller has not said whether the node can be rebooted", lastTransitionTime: since = "" } = told ?? {};
    return [{ name, drives, copies, inUse: inUse.toSorted(), cordoned: node.spec.unschedulable === true, safeToReboot: { status, reason, message, since } }];
  });
  return rows.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function cellsOf({ name, drives, copies, inUse, cordoned, safeToReboot }: NodeRow): string[] {
  return [name, String(drives), String(copies), String(inUse.length), cordoned ? "yes" : "no", safeToReboot.status, safeToReboot.message];
}
