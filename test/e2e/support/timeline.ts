/** The parts of the way from a claim to a running pod, as whoever watches the API sees them. */
import type { VolumeStatus } from "../../../src/api/volume.ts";
import type { DeployedCluster } from "../../../lab/kubernetes/deployed-cluster.ts";
import { eventually } from "../../../lab/world/wait.ts";
import { took } from "./deployed.ts";

interface Listed {
  items: readonly {
    kind: string;
    metadata: { name: string; uid: string };
    status?: Omit<VolumeStatus, "phase"> & { phase?: string };
  }[];
}

type Item = Listed["items"][number];
interface Parts {
  claim: Item | undefined;
  pod: Item | undefined;
  volume: Item | undefined;
}

const STEPS: Readonly<Record<string, (parts: Parts) => boolean>> = {
  "its record is there": ({ volume }) => volume !== undefined,
  "every copy is made": ({ volume }) => (volume?.status?.partitions ?? []).some(() => true) && (volume?.status?.partitions ?? []).every(({ state }) => state !== "Requested"),
  bound: ({ claim }) => claim?.status?.phase === "Bound",
  assembled: ({ volume }) => volume?.status?.owner !== undefined && (volume.status.activeDevices ?? 0) > 0,
  running: ({ pod }) => pod?.status?.phase === "Running",
};

/** Watches a claim and its pod until it runs. @returns when each step was first seen, since `start` */
export async function timeline(cluster: DeployedCluster, podName: string, claimName: string, start: number, seconds = 180): Promise<string> {
  const seen = new Map<string, string>();
  const told = () => [...seen].map(([step, at]) => `${step} ${at}`).join(", ");
  await eventually(`pod ${podName} runs`, seconds, async () => {
    const { items } = JSON.parse(await cluster.kubectl("get", "pods,pvc,msvol", "--output=json")) as Listed;
    const of = (kind: string, name: string) => items.find((item) => item.kind === kind && item.metadata.name === name);
    const claim = of("PersistentVolumeClaim", claimName);
    // The provisioner names a volume after its claim's uid; before it is bound nothing else tells.
    const parts: Parts = { claim, pod: of("Pod", podName), volume: of("MeshStorVolume", `pvc-${claim?.metadata.uid ?? ""}`) };
    for (const [step, holds] of Object.entries(STEPS)) if (!seen.has(step) && holds(parts)) seen.set(step, took(start));
    return seen.has("running") || `so far: ${told() || "nothing"}`;
  });
  return told();
}
