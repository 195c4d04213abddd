/**
 * THE CONTROLLER ROLE: start here. CSI Identity and Controller on a socket, and the loop over all
 * volumes (reconcile.ts). It decides where copies go and when a deleted volume may vanish; it never
 * touches a host, and a volume in use does not need it.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";

import { CONTROLLER_LEASE, NAMESPACE } from "../api/names.ts";
import { Health } from "../base/health.ts";
import type { Logger } from "../base/log.ts";
import { serveController } from "../csi/serve.ts";
import { answers, socketPath } from "../csi/socket.ts";
import { createKubeClient, type KubeClient } from "../kube/client.ts";
import type { KubeConfig } from "../kube/config.ts";
import { lead, type Leadership } from "../kube/leader.ts";
import { type Controller, createController } from "./controller.ts";

export interface RunControllerOptions {
  kubeConfig: KubeConfig;
  /** unix:///path/to/csi.sock */
  endpoint: string;
  /** Several controllers run, of which one leads; without it this is the only one. */
  elect?: boolean;
  /** Told how the program fares. */
  health?: Health;
  log: Logger;
  signal: AbortSignal;
}

/** Runs until the signal aborts and the calls under way have ended. @throws MeshStorError ApiUnavailable when another controller leads instead */
export async function runController({ kubeConfig, elect = false, health = new Health(), ...options }: RunControllerOptions): Promise<void> {
  const client = createKubeClient(kubeConfig);
  const over = new AbortController();
  const serving: Serving = { ...options, signal: AbortSignal.any([options.signal, over.signal]) };
  const clock = { nowMs: () => performance.now(), wallMs: () => Date.now() };
  const controller = createController({ client, log: options.log, clock, newID: randomUUID });
  // To stand by is the duty of the others: they are ready.
  health.waits(null);
  const parts = [serve(controller, health, serving), workOnceLeading(client, controller, health, { ...serving, elect })];
  try {
    await Promise.race(parts);
  } finally {
    // One that leads no longer takes no more calls, ends those under way, and says why it ends: whoever started it starts it again.
    over.abort();
    await Promise.allSettled(parts);
    await controller.stop();
    client.close();
  }
}

/** Silence of the API server after which a controller that stands by is not ready to lead. */
const SILENT_MS = 30_000;

type Serving = Pick<RunControllerOptions, "endpoint" | "log" | "signal">;

/**
 * Answers from the start, also while it stands by: then it says in Probe that it is not ready, and refuses every other call. A sidecar
 * waits for a Probe for as long as it takes, but ends when nobody answers for half a minute.
 */
async function serve(controller: Controller, health: Health, { endpoint, log, signal }: Serving): Promise<void> {
  health.live(async () => ((await answers(socketPath(endpoint))) ? null : `nobody answers on ${endpoint}`));
  await serveController({ endpoint, port: controller.port, ready: controller.ready, log, signal });
}

/** Begins to work once it leads; until the signal aborts. @throws MeshStorError ApiUnavailable when it leads no longer */
async function workOnceLeading(client: KubeClient, controller: Controller, health: Health, { elect, ...options }: Serving & { elect: boolean }): Promise<void> {
  const leadership = elect ? await electionOf(client, health, options) : null;
  if (options.signal.aborted) return leadership?.ended;
  health.ready(() => (controller.ready() ? null : "the controller has not read the API yet"));
  controller.start();
  await Promise.race([aborted(options.signal), ...(leadership ? [leadership.lost] : [])]);
  await leadership?.ended;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true })));
}

/** Null: stopped before it led. */
function electionOf(client: KubeClient, health: Health, { log, signal }: Serving): Promise<Leadership | null> {
  const identity = `${hostname()}_${randomUUID()}`;
  let answered = performance.now();
  health.ready(() => (performance.now() - answered > SILENT_MS ? "the API server does not answer: it is not known which controller leads" : null));
  const onAnswer = () => (answered = performance.now());
  return lead({ client, name: CONTROLLER_LEASE, namespace: NAMESPACE, identity, log, signal, onAnswer }).catch((error: unknown) => {
    if (signal.aborted) return null;
    throw error;
  });
}
