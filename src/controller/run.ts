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
import { createController } from "./controller.ts";

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
  try {
    // To stand by is the duty of the others: they are ready.
    health.waits(null);
    const leadership = elect ? await electionOf(client, health, options) : null;
    if (options.signal.aborted) return;
    await serveWhileLeading(client, health, options, leadership);
    await leadership?.ended;
  } finally {
    client.close();
  }
}

/** Silence of the API server after which a controller that stands by is not ready to lead. */
const SILENT_MS = 30_000;

type Serving = Pick<RunControllerOptions, "endpoint" | "log" | "signal">;

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

/** One that leads no longer takes no more calls, ends those under way, and says why it ends: whoever started it starts it again. */
async function serveWhileLeading(client: KubeClient, health: Health, options: Serving, leadership: Leadership | null): Promise<void> {
  const over = new AbortController();
  const serving = serve(client, health, { ...options, signal: AbortSignal.any([options.signal, over.signal]) });
  try {
    await Promise.race([serving, ...(leadership ? [leadership.lost] : [])]);
  } catch (error) {
    over.abort(error);
    await serving;
    throw error;
  }
}

async function serve(client: KubeClient, health: Health, { endpoint, log, signal }: Serving): Promise<void> {
  const clock = { nowMs: () => performance.now(), wallMs: () => Date.now() };
  const controller = createController({ client, log, clock, newID: randomUUID });
  health.ready(() => (controller.ready() ? null : "the controller has not read the API yet"));
  health.live(async () => ((await answers(socketPath(endpoint))) ? null : `nobody answers on ${endpoint}`));
  controller.start();
  try {
    await serveController({ endpoint, port: controller.port, ready: controller.ready, log, signal });
  } finally {
    await controller.stop();
  }
}
