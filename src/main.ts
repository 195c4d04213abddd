/** Chooses the role (node or controller) and wires it; no logic of its own. */
// oxlint-disable-next-line import/no-unassigned-import -- it only sets the environment, before anything else is loaded
import "./threads.ts";
import { setInterval } from "node:timers/promises";
import { Command } from "commander";
import { asMeshStorError } from "./base/errors.ts";
import { Health, serveHealth } from "./base/health.ts";
import { createLogger, LOG_LEVELS } from "./base/log.ts";
import type { Logger, LogLevel } from "./base/log.ts";
import { VERSION } from "./base/version.ts";
import { loadKubeConfig } from "./kube/config.ts";

interface CommonOptions {
  kubeconfig?: string;
  endpoint: string;
  health?: string;
  logLevel: LogLevel;
}
interface ControllerOptions extends CommonOptions {
  elect?: boolean;
}
interface LeaveOptions extends CommonOptions {
  registration?: string;
  stay?: boolean;
}
interface NodeOptions extends CommonOptions {
  nodeName: string;
  registration?: string;
  crashAt?: string;
}

/** Aborts on the first SIGTERM or SIGINT. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort(new Error(name)));
  return stop.signal;
}

/** Served before anything is waited for. */
async function healthOf({ health: place }: CommonOptions, log: Logger, signal: AbortSignal): Promise<Health> {
  const health = new Health();
  if (place !== undefined) await serveHealth(health, place, log, signal);
  return health;
}

async function runNode(options: NodeOptions): Promise<void> {
  const { startNode } = await import("./agent/start.ts");
  const log = createLogger({ level: options.logLevel }).child({ role: "node", node: options.nodeName });
  const signal = stopSignal();
  await startNode({
    kubeConfig: loadKubeConfig({ path: options.kubeconfig }),
    nodeName: options.nodeName,
    endpoint: options.endpoint,
    registration: options.registration,
    crashAt: options.crashAt,
    health: await healthOf(options, log, signal),
    log,
    signal,
  });
}

async function runLeave(options: LeaveOptions): Promise<void> {
  const { leaveHost } = await import("./agent/leave.ts");
  const log = createLogger({ level: options.logLevel }).child({ role: "leave" });
  const signal = stopSignal();
  const health = await healthOf(options, log, signal);
  await leaveHost({ endpoint: options.endpoint, registration: options.registration, log });
  health.waits(null);
  if (!options.stay) return;
  try {
    for await (const _ of setInterval(60_000, undefined, { signal })) continue;
  } catch {
    // Told to end.
  }
}

async function runControllerRole(options: ControllerOptions): Promise<void> {
  const { runController } = await import("./controller/run.ts");
  const log = createLogger({ level: options.logLevel }).child({ role: "controller" });
  const signal = stopSignal();
  const health = await healthOf(options, log, signal);
  await runController({ kubeConfig: loadKubeConfig({ path: options.kubeconfig }), endpoint: options.endpoint, elect: options.elect ?? false, health, log, signal });
}

const program = new Command("meshstor").description("Replicated NVMe volumes for Kubernetes").version(VERSION);
const common = (command: Command) =>
  command
    .option("--kubeconfig <file>", "how to reach the API server; without it $KUBECONFIG, then the pod's service account")
    .option("--endpoint <url>", "unix socket that CSI is served on", "unix:///csi/csi.sock")
    .option("--health <place>", "port, or ADDRESS:PORT, on which /healthz and /readyz are answered; without it nowhere")
    .option("--log-level <level>", LOG_LEVELS.join(", "), "info");
common(program.command("node").description("node role: CSI Node service and the agent"))
  .requiredOption("--node-name <name>", "name of the Kubernetes node this runs on")
  .option("--registration <url>", "unix socket to make in kubelet's plugins_registry, by which kubelet learns of this driver; --endpoint must then be a path that kubelet sees too")
  .option("--crash-at <moment>", "for tests: die by SIGKILL at before:KIND or after:KIND of an action, or at any of those in @FILE")
  .action(runNode);
common(program.command("controller").description("controller role: CSI Controller service, placement, garbage collection"))
  .option("--elect", "several controllers run, of which one leads: serve nothing before this one does")
  .action(runControllerRole);
common(program.command("leave").description("takes away what the node program leaves on a host, once nothing of a volume is there any more"))
  .option("--registration <url>", "unix socket in kubelet's plugins_registry that the node program made")
  .option("--stay", "wait afterwards until told to end, as a DaemonSet must")
  .action(runLeave);

try {
  await program.parseAsync();
  process.exitCode = 0;
} catch (thrown) {
  const error = asMeshStorError(thrown);
  createLogger({}).error("program ended with an error", { code: error.code, error: error.message, hint: error.row.hint, stack: error.stack });
  process.exitCode = error.row.exit;
}
process.exit();
