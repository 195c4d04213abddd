/** The gRPC server on a unix socket: starts on a free socket, drains and goes when told to stop. */
import { Server, ServerCredentials } from "@grpc/grpc-js";

import type { Logger } from "../base/log.ts";
import { type BoundService, implementation, serviceDefinition } from "./adapter.ts";
import { freeSocket, socketPath } from "./socket.ts";

export interface ServeOptions {
  /** unix:///path/to/csi.sock */
  endpoint: string;
  services: readonly BoundService[];
  log: Logger;
  /** Aborted to stop: no new calls, those under way may end. */
  signal: AbortSignal;
  /** Time that calls under way have to end by themselves before they are interrupted, and again before they are cut off. */
  drainMs?: number;
}

/** A server that accepts calls. */
export interface RunningServer {
  /** Resolves when the server has stopped, after its signal was aborted. */
  readonly closed: Promise<void>;
}

/** Serves until the signal aborts. Resolves once the socket accepts calls. */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const { log, signal, drainMs = 5000 } = options;
  const path = socketPath(options.endpoint);
  await freeSocket(path);
  const stopping = new AbortController();
  const server = new Server();
  for (const bound of options.services) {
    server.addService(serviceDefinition(bound.service), implementation(bound, { log, stopping: stopping.signal }));
  }
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  log.info("serving", { path, services: options.services.map((bound) => bound.service.typeName) });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const stop = () => void drain(server, stopping, drainMs).then(() => resolve(log.info("stopped serving", { path })));
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return { closed };
}

/** Lets calls end; interrupts them after `drainMs`, cuts them off after as long again. */
async function drain(server: Server, stopping: AbortController, drainMs: number): Promise<void> {
  const interrupt = setTimeout(() => stopping.abort(), drainMs);
  const cut = setTimeout(() => server.forceShutdown(), 2 * drainMs);
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  clearTimeout(interrupt);
  clearTimeout(cut);
}
