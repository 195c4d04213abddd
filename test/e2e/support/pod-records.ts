/**
 * Numbered records written and fsynced by a pod, their acknowledgements collected on the host while the pod runs, and the proof that
 * every acknowledged one is found again.
 */
import { readFileSync } from "node:fs";
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { DeployedCluster } from "../../../lab/kubernetes/deployed-cluster.ts";
import type { Manifest } from "../../../lab/control-plane/objects.ts";
import { labPaths } from "../../../lab/state.ts";
import { eventually } from "../../../lab/world/wait.ts";
import { workloadProgram, type RecordsFound } from "../../../lab/world/writer.ts";
import { NAME } from "../../../tools/image/config.ts";
import { judgeRecords, type WriterClaim } from "../../chaos/judge.ts";

const FILE = "/data/records";
const PROGRAM = "/workload/workload.mjs";
const INTERVAL_MS = 50;

/** The program of the writers, for their pods. */
export async function workloadMap(cluster: DeployedCluster): Promise<Manifest> {
  await workloadProgram(cluster.lab);
  const text = readFileSync(join(labPaths(cluster.lab.id).dir, "workload.mjs"), "utf8");
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "workload" }, data: { "workload.mjs": text } };
}

/** A pod's spec whose container writes records to the volume "data". Our own image has Node.js, and is on every node. */
export function writerSpec(): Record<string, unknown> {
  return {
    terminationGracePeriodSeconds: 2,
    dnsPolicy: "Default",
    automountServiceAccountToken: false,
    securityContext: { runAsUser: 0, runAsGroup: 0 },
    containers: [
      {
        name: "main",
        image: NAME,
        imagePullPolicy: "IfNotPresent",
        command: ["node", PROGRAM, "write", FILE, "next", String(INTERVAL_MS), "1000000000", "clock"],
        volumeMounts: [
          { name: "data", mountPath: "/data" },
          { name: "workload", mountPath: "/workload" },
        ],
      },
    ],
    volumes: [{ name: "workload", configMap: { name: "workload" } }],
  };
}

/** A Deployment of one writer with a claim, preferably on a node. */
export function singleWriter(name: string, claimName: string, node: string): Manifest {
  const labels = { app: name };
  const spec = writerSpec();
  const volumes = [...(spec["volumes"] as object[]), { name: "data", persistentVolumeClaim: { claimName } }];
  const preference = { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }] };
  const affinity = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference }] } };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: { replicas: 1, strategy: { type: "Recreate" }, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { ...spec, volumes, affinity } } },
  };
}

/** A StatefulSet of writers, each with a claim of its own: `data-NAME-0` and so on. */
export function writers(name: string, className: string, replicas: number, size = "512Mi"): Manifest {
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name },
    spec: {
      replicas,
      serviceName: name,
      podManagementPolicy: "Parallel",
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: writerSpec() },
      volumeClaimTemplates: [
        {
          apiVersion: "v1",
          kind: "PersistentVolumeClaim",
          metadata: { name: "data" },
          spec: { accessModes: ["ReadWriteOnce"], storageClassName: className, resources: { requests: { storage: size } } },
        },
      ],
    },
  };
}

/** One acknowledged record; times on the clock of the pod's node, in epoch ms. */
interface Ack {
  readonly seq: number;
  readonly ms: number;
  readonly atMs: number;
}

/** A follower without news for so long is started again: its node may be dead, and nobody says so. */
const SILENT_MS = 15_000;

/** What the pods of one name (or one label) wrote: every container of it is a run of its own. */
export class PodRecords {
  readonly pod: string;
  readonly #cluster: DeployedCluster;
  readonly #selector: string | undefined;
  readonly #runs = new Map<number, Ack[]>();
  readonly #errors = new Set<string>();
  #child: ChildProcess | null = null;
  #over = false;
  readonly #following: Promise<void>;

  /** Begins to collect; the pod need not be there yet. */
  constructor(cluster: DeployedCluster, pod: string, selector?: string) {
    this.pod = pod;
    this.#cluster = cluster;
    this.#selector = selector;
    this.#following = this.#follow();
  }

  /** Errors that a writer met. */
  get errors(): readonly string[] {
    return [...this.#errors];
  }

  /** Runs that acknowledged something, in order. */
  get runs(): readonly number[] {
    return [...this.#runs.keys()].toSorted((a, b) => a - b);
  }

  /** Acknowledged records of all runs. */
  get count(): number {
    return [...this.#runs.values()].reduce((sum, acks) => sum + acks.length, 0);
  }

  /** Longest write since a moment on the node's clock, in ms. */
  longestMs(sinceMs: number): number {
    return Math.max(0, ...[...this.#runs.values()].flatMap((acks) => acks.filter(({ atMs }) => atMs >= sinceMs).map(({ ms }) => ms)));
  }

  /** Waits until `more` further records are acknowledged. */
  async progress(more: number, seconds: number): Promise<void> {
    const from = this.count;
    await eventually(`${more} more acknowledged records of pod ${this.pod}`, seconds, async () => this.count >= from + more || `${this.count - from} so far`);
  }

  /** Waits for a run after those that are known, for its first acknowledgement. */
  async nextRun(after: number, seconds: number): Promise<void> {
    await eventually(`a run of pod ${this.pod} after ${after}`, seconds, async () => this.runs.some((run) => run > after) || `runs: ${this.runs.join(", ") || "none"}`);
  }

  /** Reads every record back in a pod. @returns what is wrong; nothing if every acknowledged one is there */
  async lost(pod = this.pod): Promise<string[]> {
    const claims: WriterClaim[] = [...this.#runs].map(([run, acks]) => ({ run, acknowledged: Math.max(...acks.map(({ seq }) => seq)) }));
    const said = await this.#cluster.kubectl("exec", pod, "--", "node", PROGRAM, "check", FILE);
    return judgeRecords(claims, parse(said));
  }

  /** Collects no longer. */
  async stop(): Promise<void> {
    this.#over = true;
    this.#child?.kill("SIGTERM");
    await this.#following;
  }

  /** The pod's output, again whenever it ends: its node may be gone, or another container runs. */
  async #follow(): Promise<void> {
    while (!this.#over) {
      const whose = this.#selector === undefined ? [this.pod] : [`--selector=${this.#selector}`, "--tail=-1", "--ignore-errors"];
      const [program = "", ...args] = this.#cluster.plane.kubectlCommand(["logs", "--follow", ...whose]);
      const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
      this.#child = child;
      const ended = new Promise<void>((resolve) => child.once("close", () => resolve()).once("error", () => resolve()));
      let run = 0;
      const silent = setTimeout(() => child.kill("SIGTERM"), SILENT_MS);
      for await (const line of createInterface({ input: child.stdout })) {
        silent.refresh();
        run = this.#take(line, run);
      }
      clearTimeout(silent);
      await ended;
      await sleep(500);
    }
  }

  #take(line: string, run: number): number {
    const [kind, a = "", b = "", c = ""] = line.split(" ");
    if (kind === "R") return Number(a);
    if (kind === "A" && c !== "") {
      const acks = this.#runs.get(run) ?? [];
      // The same output is read again after a broken connection.
      if (Number(a) > (acks.at(-1)?.seq ?? 0)) acks.push({ seq: Number(a), ms: Number(b), atMs: Number(c) });
      this.#runs.set(run, acks);
    } else if (kind === "E") this.#errors.add(`run ${run}: ${line}`);
    return run;
  }
}

function parse(said: string): RecordsFound {
  const match = /^C (\d+) (\d+) (\d+)$/m.exec(said);
  if (!match) throw new Error(`the checker said: ${said}`);
  const runs = [...said.matchAll(/^S (\d+) (\d+)$/gm)].map((m) => ({ run: Number(m[1]), last: Number(m[2]) }));
  return { count: Number(match[1]), bad: Number(match[3]), runs };
}
