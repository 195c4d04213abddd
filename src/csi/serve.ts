/** The services of each role on its socket. */
import type { Logger } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import type { BoundService } from "./adapter.ts";
import { controllerService } from "./controller.ts";
import type { ControllerPort } from "./controller-port.ts";
import { identityService } from "./identity.ts";
import { nodeService } from "./node.ts";
import type { NodePort } from "./node-port.ts";
import { registrationService } from "./registration.ts";
import { serve } from "./server.ts";
import { socketPath } from "./socket.ts";

interface RoleOptions<Port> {
  /** unix:///path/to/csi.sock */
  endpoint: string;
  port: Port;
  log: Logger;
  signal: AbortSignal;
  /** False while calls could not be served yet; always ready without it. */
  ready?: () => boolean;
}

interface NodeRoleOptions extends RoleOptions<NodePort> {
  /** unix:///path/to/a/socket in kubelet's plugins_registry; without it kubelet is told nothing. */
  registration?: string | undefined;
}

/** Serves Identity and Node until the signal aborts and the calls under way have ended. */
export async function serveNode({ port, registration, ready = () => true, ...options }: NodeRoleOptions): Promise<void> {
  const server = await serve({ ...options, services: [identityService({ version: VERSION, ready }), nodeService(port)] });
  // After the other one: kubelet calls NodeGetInfo as soon as it sees this socket.
  const registered = registration === undefined ? null : await serve({ ...options, endpoint: registration, services: [registrationOf(options)] });
  await Promise.all([server.closed, registered?.closed]);
}

function registrationOf({ endpoint, log }: Pick<NodeRoleOptions, "endpoint" | "log">): BoundService {
  return registrationService({ csiPath: socketPath(endpoint), log });
}

/** Serves Identity and Controller until the signal aborts and the calls under way have ended. */
export async function serveController({ port, ready = () => true, ...options }: RoleOptions<ControllerPort>): Promise<void> {
  const server = await serve({ ...options, services: [identityService({ version: VERSION, ready }), controllerService(port)] });
  await server.closed;
}
