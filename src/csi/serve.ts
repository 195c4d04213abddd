/** The services of each role on its socket. */
import type { Logger } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import { controllerService } from "./controller.ts";
import type { ControllerPort } from "./controller-port.ts";
import { identityService } from "./identity.ts";
import { nodeService } from "./node.ts";
import type { NodePort } from "./node-port.ts";
import { serve } from "./server.ts";

interface RoleOptions<Port> {
  /** unix:///path/to/csi.sock */
  endpoint: string;
  port: Port;
  log: Logger;
  signal: AbortSignal;
  /** False while calls could not be served yet; always ready without it. */
  ready?: () => boolean;
}

/** Serves Identity and Node until the signal aborts and the calls under way have ended. */
export async function serveNode({ port, ready = () => true, ...options }: RoleOptions<NodePort>): Promise<void> {
  const server = await serve({ ...options, services: [identityService({ version: VERSION, ready }), nodeService(port)] });
  await server.closed;
}

/** Serves Identity and Controller until the signal aborts and the calls under way have ended. */
export async function serveController({ port, ready = () => true, ...options }: RoleOptions<ControllerPort>): Promise<void> {
  const server = await serve({ ...options, services: [identityService({ version: VERSION, ready }), controllerService(port)] });
  await server.closed;
}
