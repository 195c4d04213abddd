/** The node role with its real surroundings: host checks, adapters, CSI server. */
import { readFileSync } from "node:fs";
import type { Health } from "../base/health.ts";
import type { Logger } from "../base/log.ts";
import { serveNode } from "../csi/serve.ts";
import type { KubeConfig } from "../kube/config.ts";
import { crashHook } from "./crash.ts";
import { watchGuard } from "../host/guard/client.ts";
import { ensureGuard } from "../host/guard/start.ts";
import { checkHost } from "../host/capabilities.ts";
import { holdHostLock } from "./host-lock.ts";
import { createHost } from "./host-port.ts";
import { runAgent } from "./run.ts";

export interface StartOptions {
  kubeConfig: KubeConfig;
  nodeName: string;
  endpoint: string;
  /** Socket in kubelet's plugins_registry; see {@link serveNode}. */
  registration?: string | undefined;
  crashAt?: string | undefined;
  /** Told how the program fares. */
  health: Health;
  log: Logger;
  signal: AbortSignal;
}

/** Runs the node program until the signal aborts. */
export async function startNode(options: StartOptions): Promise<void> {
  const { log, signal, health } = options;
  health.waits("the node program waits for a former one on this host to end");
  await holdHostLock(log);
  health.waits("the node program looks whether the host is fit");
  await checkHost();
  await ensureGuard();
  log.info("the host is fit");
  await runAgent({
    kubeConfig: options.kubeConfig,
    nodeName: options.nodeName,
    bootID: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    endpoint: options.endpoint,
    health,
    log,
    signal,
    makeHost: (nodeUID) => createHost(nodeUID),
    guard: { ensure: ensureGuard, watch: watchGuard },
    hook: crashHook(options.crashAt),
    serve: (port) => serveNode({ endpoint: options.endpoint, registration: options.registration, port, log, signal }),
  });
}
