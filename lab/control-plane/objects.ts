/** Kubernetes objects that a lab needs, made as their usual makers would make them. */
import { setTimeout as sleep } from "node:timers/promises";

import type { ControlPlane } from "./control-plane.ts";

/** An object as in a manifest. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** Every field that we apply is ours, whoever else set it. */
const APPLY = ["apply", "--server-side", "--force-conflicts", "--field-manager=lab", "-f", "-"];

/**
 * Creates or updates objects (server-side apply), given as objects or as YAML or JSON text, and waits until the
 * kinds that CustomResourceDefinitions among them define can be used.
 * @throws Error with kubectl's words when the API server refuses one.
 */
export async function applyYaml(plane: ControlPlane, manifests: readonly Manifest[] | string): Promise<void> {
  const text = typeof manifests === "string" ? manifests : manifests.map((manifest) => JSON.stringify(manifest)).join("\n---\n");
  const { stdout } = await plane.kubectl([...APPLY, "--output=name"], { stdin: text });
  const definitions = stdout.split("\n").filter((name) => name.startsWith("customresourcedefinition"));
  if (definitions.length > 0) await untilEstablished(plane, definitions);
}

/** Longest wait for the API server to serve new kinds; it needs a fraction of a second. */
const ESTABLISHED_SECONDS = 60;

/**
 * Waits until the API server serves the kinds of these definitions. `kubectl wait` (1.36) does not wait for conditions
 * that are null, as those of a definition are in the moment after it was made: it ends, and is asked again.
 * @throws Error with kubectl's words when it refuses for another reason, or they are not served in time.
 */
export async function untilEstablished(plane: Pick<ControlPlane, "kubectl">, definitions: readonly string[]): Promise<void> {
  const deadline = performance.now() + ESTABLISHED_SECONDS * 1000;
  for (;;) {
    const timeout = `--timeout=${ESTABLISHED_SECONDS}s`;
    const { code, stderr } = await plane.kubectl(["wait", "--for=condition=Established", timeout, ...definitions], { mayFail: true });
    if (code === 0) return;
    const isNull = stderr.includes(".status.conditions accessor error: <nil>");
    if (!isNull || performance.now() > deadline) throw new Error(`${definitions.join(", ")} not established: ${stderr.trim()}`);
    await sleep(200);
  }
}

/** A node as kubelet registers it. */
export interface NodeDescription {
  readonly name: string;
  /** InternalIP addresses, IPv4 and IPv6. */
  readonly addresses: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * Creates or updates a Node object with its addresses and the condition Ready.
 * @returns its uid, which only the API server can choose (a second call returns the same one).
 */
export async function ensureNode(plane: ControlPlane, node: NodeDescription): Promise<string> {
  const labels = { "kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", ...node.labels };
  const object = { apiVersion: "v1", kind: "Node", metadata: { name: node.name, labels, annotations: node.annotations ?? {} } };
  await plane.kubectl(APPLY, { stdin: JSON.stringify(object) });
  const now = new Date().toISOString();
  const ready = { type: "Ready", status: "True", reason: "LabNode", message: "", lastHeartbeatTime: now, lastTransitionTime: now };
  const addresses = [...node.addresses.map((address) => ({ type: "InternalIP", address })), { type: "Hostname", address: node.name }];
  // A merge patch, because server-side apply refuses a second address of the same type.
  const patch = ["patch", "node", node.name, "--subresource=status", "--type=merge", "--output=jsonpath={.metadata.uid}"];
  return (await plane.kubectl([...patch, `--patch=${JSON.stringify({ status: { addresses, conditions: [ready] } })}`])).stdout;
}
