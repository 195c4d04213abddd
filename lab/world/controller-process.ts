/** The controller, on the host's side of the lab, as a process of its own. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Controller, Identity } from "../../src/csi/gen/csi_pb.ts";
import { NODE_ENVIRONMENT, NODE_FLAGS } from "../../tools/image/config.ts";
import type { Lab } from "../cluster.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { hasEnded, isAlive, signal, startDetached, type ProcessIdentity } from "../control-plane/processes.ts";
import { labPaths } from "../state.ts";
import { CsiClient } from "./csi-client.ts";
import { eventually } from "./wait.ts";

const STOP_MS = 10_000;

export class ControllerProcess {
  readonly #lab: Lab;
  readonly #plane: ControlPlane;
  readonly #program: string;
  readonly #detached: boolean;
  #client: CsiClient | null = null;

  constructor(lab: Lab, plane: ControlPlane, program: string, detached: boolean) {
    this.#lab = lab;
    this.#plane = plane;
    this.#program = program;
    this.#detached = detached;
  }

  get socketPath(): string {
    return join(labPaths(this.#lab.id).dir, "controller.sock");
  }

  get logPath(): string {
    return join(this.#lab.logDir, "controller.log");
  }

  /** Starts it unless it runs; resolves once it answers Probe. */
  async start(): Promise<void> {
    if (!this.running()) {
      const argv = [process.execPath, ...NODE_FLAGS, this.#program, "controller", "--kubeconfig", this.#plane.kubeconfigPath, "--endpoint", `unix://${this.socketPath}`];
      const identity = startDetached(this.#lab.net.command([]), argv, { cwd: "/", env: NODE_ENVIRONMENT, logPath: this.logPath, dieWithStarter: !this.#detached });
      writeFileSync(this.#identityPath, JSON.stringify(identity));
    }
    await eventually("the controller answers on its socket", 30, async () => {
      await this.csi().call(Identity, Identity.method.probe, {}, 2_000);
      return true;
    });
  }

  running(): boolean {
    const identity = this.#identity();
    return identity !== null && isAlive(identity);
  }

  /** Its process id on the host. @throws Error if it was not started */
  get pid(): number {
    const identity = this.#identity();
    if (identity === null) throw new Error("the controller was not started");
    return identity.pid;
  }

  /** A client of the controller's CSI services. */
  csi(): CsiClient {
    this.#client ??= new CsiClient(this.socketPath);
    return this.#client;
  }

  /** SIGKILL: nothing in it gets to do anything. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM, then SIGKILL when it does not end. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    await this.#end("SIGKILL");
  }

  readonly service = Controller;

  async #end(name: NodeJS.Signals): Promise<void> {
    const identity = this.#identity();
    this.#client?.close();
    this.#client = null;
    if (!identity) return;
    signal(identity, name);
    if (await hasEnded(identity, STOP_MS)) rmSync(this.#identityPath, { force: true });
  }

  get #identityPath(): string {
    return join(labPaths(this.#lab.id).dir, "controller.json");
  }

  #identity(): ProcessIdentity | null {
    return existsSync(this.#identityPath) ? (JSON.parse(readFileSync(this.#identityPath, "utf8")) as ProcessIdentity) : null;
  }
}
