/** A cluster with our own manifests and images applied, as its users have it. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { DeployedCluster } from "../../../lab/kubernetes/deployed-cluster.ts";
import type { Sidecar } from "../../../lab/kubernetes/sidecars.ts";
import { eventually } from "../../../lab/world/wait.ts";
import { makeImage } from "../../../tools/image.ts";
import { ensurePeers } from "../../../tools/setup/peers.ts";
import { ensureProgramImage } from "../../../tools/setup/program-image.ts";

/** The manifests. */
export const DEPLOY = join(import.meta.dirname, "../../../deploy");

/** Where the manifests put the programs. */
export const OURS = "--namespace=meshstor";

/** Seconds since `start` (performance.now()), as a report says them. */
export function took(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/** Every image that the manifests name, as a tar: ours, and the sidecars made from the programs that set-up builds. */
async function images(): Promise<string[]> {
  const texts = readdirSync(DEPLOY)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => readFileSync(join(DEPLOY, name), "utf8"));
  const names = new Set(texts.flatMap((text) => [...text.matchAll(/^\s+image: (\S+)/gm)].map(([, name]) => name ?? "")));
  const found: string[] = [(await makeImage()).path];
  for (const name of names) {
    const program = basename(name).split(":")[0] ?? "";
    if (!program.startsWith("csi-")) continue;
    const { [program as Sidecar]: path } = await ensurePeers([program as Sidecar]);
    found.push(await ensureProgramImage(path, name));
  }
  return found;
}

/** Nodes that are Ready and have the images; nothing of ours runs in it yet. */
export async function bareCluster(names: readonly string[]): Promise<DeployedCluster> {
  const start = performance.now();
  return DeployedCluster.up({ names, images: await images(), say: (line) => console.log(took(start), line) });
}

/** `kubectl apply -f deploy/`, until every part of it is ready. */
export async function deploy(cluster: DeployedCluster): Promise<void> {
  await cluster.kubectl("apply", "-f", DEPLOY);
  // A guest is slower than a host, and shares the machine: the program's own deadlines are stretched, as for programs that the lab starts itself.
  await cluster.kubectl(OURS, "set", "env", "daemonset/meshstor-node", "MESHSTOR_TIME_SCALE=5");
  await allReady(cluster);
}

/** What is wrong with the programs' pods; nothing if all are of the newest template and ready. */
async function unready(cluster: DeployedCluster): Promise<string> {
  const node = "{.status.observedGeneration}={.metadata.generation} {.status.updatedNumberScheduled}/{.status.desiredNumberScheduled} {.status.numberAvailable}";
  const controller = "{.status.observedGeneration}={.metadata.generation} {.status.updatedReplicas}/{.status.replicas} {.status.readyReplicas}";
  const [nodes, controllers] = await Promise.all([
    cluster.kubectl(OURS, "get", "daemonset/meshstor-node", `--output=jsonpath=${node}`),
    cluster.kubectl(OURS, "get", "statefulset/meshstor-controller", `--output=jsonpath=${controller}`),
  ]);
  const good = (status: string, wanted: number) => /^(\d+)=\1 (\d+)\/\2 \2$/.test(status) && status.endsWith(` ${wanted}`);
  return good(nodes, cluster.lab.names.length) && good(controllers, 2) ? "" : `daemonset ${nodes}, statefulset ${controllers}`;
}

/** Waits until every node program and both controllers are of the newest template and ready. */
export async function allReady(cluster: DeployedCluster, seconds = 240): Promise<void> {
  const story = async () => cluster.kubectl(OURS, "get", "pods", "--output=wide");
  await eventually("every node program and both controllers are ready", seconds, async () => {
    const wrong = await unready(cluster);
    return wrong === "" || `${wrong}\n${await story()}`;
  });
}

/** Programs that were started again, as `pod/container: times (exit code: its last words)`. */
export async function restarts(cluster: DeployedCluster): Promise<string[]> {
  const text = await cluster.kubectl(OURS, "get", "pods", "--output=json");
  interface Status {
    name: string;
    restartCount: number;
    lastState?: { terminated?: { exitCode: number; message?: string } };
  }
  const { items } = JSON.parse(text) as { items: { metadata: { name: string }; status: { containerStatuses?: Status[] } }[] };
  return items.flatMap(({ metadata, status }) =>
    (status.containerStatuses ?? [])
      .filter(({ restartCount }) => restartCount > 0)
      .map(
        ({ name, restartCount, lastState }) =>
          `${metadata.name}/${name}: ${restartCount} (${lastState?.terminated?.exitCode ?? "?"}: ${lastState?.terminated?.message?.trim().split("\n").at(-1)?.slice(0, 200) ?? ""})`,
      ),
  );
}
