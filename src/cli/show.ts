/** `explain` and `list`: what is there, and why. Nothing is changed. */
import type { MeshStorVolume } from "../api/volume.ts";
import type { Explanation } from "../core/explain.ts";
import { explain } from "../core/explain.ts";
import { sentenceOf } from "../core/sentence.ts";
import { VOLUMES } from "../kube/resources.ts";
import type { Context, Output } from "./context.ts";
import { sayJson } from "./context.ts";
import { during } from "./failure.ts";
import { silentNodes } from "./heard-of.ts";
import { getVolume } from "./objects.ts";
import { age, table } from "./table.ts";

/** `kubectl meshstor explain NAME` */
export async function explainCommand(context: Context, name: string, output: Output): Promise<void> {
  const volume = await getVolume(context, name);
  const told = explain(volume);
  const explanation = { ...told, also: [...told.also, ...(await silentNodes(context, volume))] };
  if (output === "json") sayJson(context, explanation);
  else context.terminal.out(explained(explanation, context.now()));
}

/** An explanation for people. */
export function explained(e: Explanation, nowMs: number): string {
  const head = table(
    ["CONDITION", "STATUS", "REASON"],
    [
      ["Ready", e.ready.status, e.ready.reason],
      ["Redundant", e.redundant.status, e.redundant.reason],
    ],
  );
  const rows = e.copies.map((c) => [c.node, c.drive, String(c.mirror), c.state, age(c.since, nowMs), c.progress, c.waitsFor || "nothing"]);
  const copies = rows.length === 0 ? "no copies yet\n" : table(["NODE", "DRIVE", "MIRROR", "STATE", "SINCE", "PROGRESS", "WAITS FOR"], rows);
  return [`volume ${e.volume}: ${e.sentence}\n`, head, copies, e.also.map((line) => `${line}\n`).join("")].filter((part) => part !== "").join("\n");
}

/** `kubectl meshstor list` */
export async function listCommand(context: Context, output: Output): Promise<void> {
  const { items } = await during("listing volumes", () => context.client.list(VOLUMES));
  const volumes = items.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  if (output === "json") sayJson(context, volumes.map(listed));
  else if (volumes.length === 0) context.terminal.err("no volumes\n");
  else
    context.terminal.out(
      table(
        HEAD,
        volumes.map((volume) => rowOf(volume, context.now())),
      ),
    );
}

/** As `kubectl get msvol -o wide`, then the sentence. */
const HEAD = ["NAME", "PHASE", "MDSTATE", "TOTAL", "ACTIVE", "FAILED", "DOWN", "SYNC", "AGE", "READY", "DEGRADED", "NODE", "SENTENCE"];

function rowOf(volume: MeshStorVolume, nowMs: number): string[] {
  const { phase, mdState, totalDevices, activeDevices, failedDevices, downDevices, syncPercentage, ready, degraded, nodeName } = volume.status ?? {};
  const cells = [phase, mdState, totalDevices, activeDevices, failedDevices, downDevices, syncPercentage, age(volume.metadata.creationTimestamp, nowMs), ready, degraded, nodeName];
  return [volume.metadata.name, ...cells.map((cell) => String(cell ?? "")), sentenceOf(volume)];
}

function listed(volume: MeshStorVolume): object {
  const { phase, mdState, totalDevices, activeDevices, failedDevices, downDevices, syncPercentage, ready, degraded, nodeName } = volume.status ?? {};
  const { name, creationTimestamp } = volume.metadata;
  const counters = { phase, mdState, totalDevices, activeDevices, failedDevices, downDevices, syncPercentage, ready, degraded, nodeName };
  const { ready: isReady, redundant } = explain(volume);
  return { name, creationTimestamp, ...counters, conditions: { Ready: isReady, Redundant: redundant }, sentence: sentenceOf(volume) };
}
