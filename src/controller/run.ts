/**
 * THE CONTROLLER ROLE: start here. CSI Identity and Controller on a socket, and the loop over all
 * volumes (reconcile.ts). It decides where copies go and when a deleted volume may vanish; it never
 * touches a host, and a volume in use does not need it.
 */
import { randomUUID } from "node:crypto";

import type { Logger } from "../base/log.ts";
import { serveController } from "../csi/serve.ts";
import { createKubeClient } from "../kube/client.ts";
import type { KubeConfig } from "../kube/config.ts";
import { createController } from "./controller.ts";

export interface RunControllerOptions {
  kubeConfig: KubeConfig;
  /** unix:///path/to/csi.sock */
  endpoint: string;
  log: Logger;
  signal: AbortSignal;
}

/** Runs until the signal aborts and the calls under way have ended. */
export async function runController({ kubeConfig, endpoint, log, signal }: RunControllerOptions): Promise<void> {
  const client = createKubeClient(kubeConfig);
  const clock = { nowMs: () => performance.now(), wallMs: () => Date.now() };
  const controller = createController({ client, log, clock, newID: randomUUID });
  controller.start();
  try {
    await serveController({ endpoint, port: controller.port, ready: controller.ready, log, signal });
  } finally {
    await controller.stop();
    client.close();
  }
}
