/** What MeshStor's objects say about each node, as columns of `status`. Pure. */
import { nodeLeaseName } from "../../src/api/names.ts";
import type { MeshStorNodeDevice } from "../../src/api/node-device.ts";
import type { MeshStorVolume } from "../../src/api/volume.ts";
import type { Lease } from "../../src/kube/resources.ts";

/** An object of those that one `kubectl get` lists together. */
export type Listed = MeshStorVolume | MeshStorNodeDevice | Lease;

/** Rows by node name. `nowMs`: milliseconds since 1970. */
export function nodeColumns(names: readonly string[], objects: readonly Listed[], nowMs: number): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const volumes = objects.filter((object) => object.kind === "MeshStorVolume");
  return new Map(
    names.map((name) => {
      const lease = objects.find((object) => object.kind === "Lease" && object.metadata.name === nodeLeaseName(name)) as Lease | undefined;
      const registered = objects.filter((object) => object.kind === "MeshStorNodeDevice" && object.status?.nodeName === name);
      const owned = volumes.filter((volume) => volume.status?.owner?.nodeName === name);
      const states = volumes.flatMap((volume) => volume.status?.partitions ?? []).filter((partition) => partition.nodeID === name);
      return [
        name,
        {
          meshstor: heartbeat(lease, nowMs),
          msnd: String(registered.length),
          partitions: countsOf(states.map(({ state }) => state)),
          owns: owned.map((volume) => volume.metadata.name).join(" ") || "-",
        },
      ];
    }),
  );
}

/** Ages are of the lab's own clock, which the guests share with the host. */
function heartbeat(lease: Lease | undefined, nowMs: number): string {
  const renewed = Date.parse(lease?.spec.renewTime ?? "");
  return Number.isNaN(renewed) ? "never seen" : `seen ${Math.max(0, Math.round((nowMs - renewed) / 1000))} s ago`;
}

function countsOf(words: readonly string[]): string {
  const counts = [...new Set(words)].toSorted().map((word) => `${words.filter((other) => other === word).length} ${word}`);
  return counts.join(", ") || "-";
}
