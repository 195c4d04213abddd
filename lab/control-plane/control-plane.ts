/**
 * A real Kubernetes API for a lab: etcd and kube-apiserver, started in about three seconds,
 * killed, frozen and started again on the same data. Its processes do not depend on the program that
 * started them: a state file in the control plane's folder lets another program take over.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { ensureControlPlanePrograms } from "../../tools/setup/kubernetes.ts";
import type { ControlPlanePrograms } from "../../tools/setup/kubernetes.ts";
import { ensureClientCertificate, ensureKeys, identityFileName } from "./certificates.ts";
import { apiserverArguments, ETCD_SOCKETS, etcdArguments, SERVICE_ADDRESSES } from "./command-lines.ts";
import { serverURL, writeKubeconfig } from "./kubeconfig.ts";
import { hasEnded, isAlive, listensOn, runToEnd, signal, startDetached } from "./processes.ts";
import type { Outcome, ProcessIdentity } from "./processes.ts";

/** What a control plane is made of. */
export interface ControlPlaneOptions {
  /** Its folder: data, keys, kubeconfigs, logs and state file; kept after {@link ControlPlane.kill}. */
  readonly dir: string;
  /** Words before every command, as `["ip", "netns", "exec", NAME]`; they must end in the command's exec. Default none. */
  readonly runPrefix?: readonly string[];
  /** IP addresses under which clients reach it; the first is the one in kubeconfigs. One is bound alone, several mean all addresses. */
  readonly addresses: readonly string[];
  /** The API server's port, the only one that is taken. Default 6443. */
  readonly port?: number;
  /** Further arguments for kube-apiserver. */
  readonly apiserverArguments?: readonly string[];
  /** The processes are killed when the program that started them ends, however it ends. Default false. */
  readonly dieWithStarter?: boolean;
}

/** The processes of a control plane, in the order in which they are killed. */
export const PARTS = ["apiserver", "etcd"] as const;
export type Part = (typeof PARTS)[number];

/** What the state file holds. */
interface State {
  readonly options: Required<ControlPlaneOptions>;
  processes: Partial<Record<Part, ProcessIdentity>>;
}

/** Longest wait for a server whose processes live; only a machine with far too much to do needs more than some seconds. */
const READY_MILLISECONDS = 180_000;
const KUBECTL_MILLISECONDS = 120_000;
/** Longest wait for a killed process to be gone. */
const GONE_MILLISECONDS = 15_000;

/** One control plane. Made by {@link ControlPlane.start} or {@link ControlPlane.attach}. */
export class ControlPlane {
  readonly dir: string;
  readonly #state: State;
  readonly #programs: ControlPlanePrograms;

  private constructor(state: State, programs: ControlPlanePrograms) {
    this.dir = state.options.dir;
    this.#state = state;
    this.#programs = programs;
  }

  /**
   * Starts a control plane, on the data that its folder holds if there is any, and waits until it serves.
   * @throws Error with the end of the log when a process ends before it serves, and when one runs already.
   */
  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    if (options.addresses.length === 0) throw new Error("a control plane needs an address");
    const defaults = { runPrefix: [], port: 6443, apiserverArguments: [], dieWithStarter: false };
    const full = { ...defaults, ...options, dir: resolve(options.dir) };
    const running = readState(full.dir)?.processes ?? {};
    if (Object.values(running).some(isAlive)) throw new Error(`a control plane runs in ${full.dir} already: attach to it`);
    const programs = await ensureControlPlanePrograms();
    mkdirSync(full.dir, { recursive: true });
    const plane = new ControlPlane({ options: full, processes: {} }, programs);
    try {
      await plane.start();
    } catch (error) {
      await plane.kill();
      throw error;
    }
    return plane;
  }

  /**
   * Takes over a control plane that another program started, running or not.
   * @throws Error when the folder has no state file.
   */
  static async attach(dir: string): Promise<ControlPlane> {
    const state = readState(resolve(dir));
    if (state === undefined) throw new Error(`there is no control plane in ${dir}`);
    return new ControlPlane(state, await ensureControlPlanePrograms());
  }

  /** Kubeconfig of the administrator (group system:masters). */
  get kubeconfigPath(): string {
    return join(this.dir, "admin.kubeconfig");
  }

  /** The log of one process, over all its starts. */
  logPath(part: Part): string {
    return join(this.dir, `${part}.log`);
  }

  /** URL of the API server at its first address, or the given one. */
  url(address = this.#state.options.addresses[0] ?? ""): string {
    return serverURL(address, this.#state.options.port);
  }

  /** Process ids of what runs. */
  pids(): Partial<Record<Part, number>> {
    const alive = PARTS.filter((part) => this.#isAlive(part));
    return Object.fromEntries(alive.map((part) => [part, this.#state.processes[part]?.pid]));
  }

  /** Starts what does not run, on the same data, and waits until the API server serves. */
  async start(): Promise<void> {
    const { addresses, port, apiserverArguments: extra } = this.#state.options;
    const names = [...new Set([...addresses, "127.0.0.1", "::1", "localhost", "kubernetes.default.svc", ...SERVICE_ADDRESSES])];
    const keys = await ensureKeys(join(this.dir, "keys"), names);
    const tokenFile = this.#ensureAdministrator(keys.authority.certificate);
    const { etcd, apiserver } = this.#programs;
    // Those of an etcd that was killed would keep the next one from starting.
    if (!this.#isAlive("etcd")) for (const socket of ETCD_SOCKETS) rmSync(join(this.dir, socket), { force: true });
    this.#launch("etcd", [etcd, ...etcdArguments()]);
    this.#launch("apiserver", [apiserver, ...apiserverArguments({ addresses, port, keys, tokenFile, extra })]);
    await this.#ready();
  }

  /**
   * Kills the processes (all of them, or the named ones) with SIGKILL. The data stays, and is whole: etcd's log is at
   * any moment. An orderly end would take as long as somebody watches, up to the server's own minute.
   */
  async kill(parts: readonly Part[] = PARTS): Promise<void> {
    const processes = this.#processes(parts);
    for (const each of processes) signal(each, "SIGKILL");
    for (const each of processes) {
      if (!(await hasEnded(each, GONE_MILLISECONDS))) throw new Error(`process ${each.pid} does not end`);
    }
  }

  /** Freezes the processes (all of them, or the named ones): connections stay open, nothing answers. */
  pause(parts: readonly Part[] = PARTS): void {
    for (const each of this.#processes(parts)) signal(each, "SIGSTOP");
  }

  /** Lets frozen processes go on. */
  resume(parts: readonly Part[] = PARTS): void {
    for (const each of this.#processes(parts)) signal(each, "SIGCONT");
  }

  /** Kills everything and removes the folder with all that is in it. */
  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** The full command for a kubectl call as administrator, for callers that run it themselves (interactively, say). */
  kubectlCommand(args: readonly string[]): string[] {
    const own = [`--kubeconfig=${this.kubeconfigPath}`, `--cache-dir=${join(this.dir, "kubectl-cache")}`];
    // Of kubectl's own environment only KUBERC matters: "off" keeps the caller's preferences out.
    return [...this.#state.options.runPrefix, "env", "KUBERC=off", this.#programs.kubectl, ...own, ...args];
  }

  /**
   * Runs kubectl as administrator (a later --kubeconfig among `args` makes it another user).
   * @throws Error with what kubectl said when it fails, unless `mayFail`; and when it takes longer than two minutes.
   */
  async kubectl(args: readonly string[], options: { stdin?: string; mayFail?: boolean } = {}): Promise<Outcome> {
    const stdin = options.stdin ?? "";
    const outcome = await runToEnd(this.kubectlCommand(args), { stdin, timeoutMilliseconds: KUBECTL_MILLISECONDS });
    if (outcome.code === 0 || options.mayFail === true) return outcome;
    throw new Error(`kubectl ${args.join(" ")} ended with ${outcome.code}: ${outcome.stderr.trim()}`);
  }

  /**
   * Writes a kubeconfig for somebody else, valid for longer than a lab lives and over restarts. RBAC decides what
   * it may. A service account's name (`system:serviceaccount:NAMESPACE:NAME`) gets a token, as in a pod, and the
   * account and its namespace are made when missing; every other user gets a client certificate with the groups.
   * @param address which of the addresses to connect to; the first by default.
   * @returns the file's path.
   */
  async kubeconfigFor(user: string, groups: readonly string[] = [], address?: string): Promise<string> {
    const keys = join(this.dir, "keys");
    const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user);
    if (account !== null && groups.length > 0) throw new Error(`the groups of ${user} follow from its name: give none`);
    const credential = account === null ? await ensureClientCertificate(keys, user, groups) : { token: await this.#accountToken(account[1] ?? "", account[2] ?? "") };
    const path = join(this.dir, `${identityFileName(user, ...groups, address ?? "")}.kubeconfig`);
    writeKubeconfig(path, this.url(address), join(keys, "ca.crt"), credential);
    return path;
  }

  async #accountToken(namespace: string, name: string): Promise<string> {
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } };
    for (const object of [{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }, account]) {
      await this.kubectl(["apply", "--server-side", "-f", "-"], { stdin: JSON.stringify(object) });
    }
    const { stdout } = await this.kubectl(["create", "token", name, `--namespace=${namespace}`, "--duration=720h"]);
    return stdout.trim();
  }

  /** The administrator's token is made once; the file is read by the API server when it starts. */
  #ensureAdministrator(authorityCertificate: string): string {
    const path = join(this.dir, "keys", "tokens.csv");
    if (!existsSync(path)) {
      const token = randomBytes(24).toString("hex");
      writeFileSync(path, `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
    }
    const token = readFileSync(path, "utf8").split(",")[0] ?? "";
    writeKubeconfig(this.kubeconfigPath, this.url(), authorityCertificate, { token });
    return path;
  }

  #isAlive(part: Part): boolean {
    const process = this.#state.processes[part];
    return process !== undefined && isAlive(process);
  }

  #processes(parts: readonly Part[]): ProcessIdentity[] {
    return parts.flatMap((part) => this.#state.processes[part] ?? []);
  }

  #launch(part: Part, command: readonly string[]): void {
    if (this.#isAlive(part)) return;
    const { runPrefix, dieWithStarter } = this.#state.options;
    this.#state.processes[part] = startDetached(runPrefix, command, { cwd: this.dir, logPath: this.logPath(part), dieWithStarter });
    writeState(this.#state);
  }

  /** Waits until the API server says that it is ready and has made the default namespace. */
  async #ready(): Promise<void> {
    const start = Date.now();
    const server = this.#state.processes.apiserver;
    const answers = async (path: string): Promise<boolean> => (await this.kubectl(["get", "--raw", path], { mayFail: true })).code === 0;
    const steps = [
      (): boolean => server !== undefined && listensOn(server, this.#state.options.port),
      (): Promise<boolean> => answers("/readyz"),
      (): Promise<boolean> => answers("/api/v1/namespaces/default"),
    ];
    for (const step of steps) {
      while (!(await step())) {
        const ended = PARTS.find((part) => !this.#isAlive(part));
        if (ended !== undefined) throw new Error(`${ended} ended before it served; the end of ${this.logPath(ended)}:\n${this.#logTail(ended)}`);
        if (Date.now() - start > READY_MILLISECONDS) throw new Error(`the API server is not ready after ${READY_MILLISECONDS} ms; see ${this.logPath("apiserver")}`);
        await sleep(50);
      }
    }
  }

  #logTail(part: Part): string {
    return readFileSync(this.logPath(part), "utf8").split("\n").slice(-15).join("\n");
  }
}

function statePath(dir: string): string {
  return join(dir, "control-plane.json");
}

function readState(dir: string): State | undefined {
  return existsSync(statePath(dir)) ? (JSON.parse(readFileSync(statePath(dir), "utf8")) as State) : undefined;
}

function writeState(state: State): void {
  const path = statePath(state.options.dir);
  writeFileSync(`${path}.new`, JSON.stringify(state, null, 2));
  renameSync(`${path}.new`, path);
}
