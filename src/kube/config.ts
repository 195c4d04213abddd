/** How the API server is reached: from a kubeconfig file, or from inside the cluster. */
import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { MeshStorError } from "../base/errors.ts";

/** Address and credentials of an API server. Texts are PEM; what comes from files is read again as it ages. */
export interface KubeConfig {
  /** Base URL, for example https://10.0.0.1:6443 or https://[fd00::1]:6443. */
  readonly server: string;
  /** Name that the server's certificate must carry, where it is not the URL's host. */
  readonly serverName?: string;
  readonly insecureSkipTlsVerify?: boolean;
  ca?(): string;
  clientCertificate?(): { cert: string; key: string };
  /** The bearer token. */
  token?(): string;
  /** Reads everything from its files again; called after an answer of 401. */
  refresh?(): void;
}

const SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount";
const MAX_FILE_AGE_MS = 60_000;

/**
 * A file whose text is read again when it is older than a minute, or on demand. Read synchronously: these files are
 * small and lie on tmpfs, and a read through the thread pool would wait behind hung file-system calls.
 */
class AgingFile {
  readonly path: string;
  readonly #now: () => number;
  #text: string | null = null;
  #readAt = -Infinity;
  constructor(path: string, now: () => number) {
    this.path = path;
    this.#now = now;
  }
  text(): string {
    const now = this.#now();
    if (now - this.#readAt < MAX_FILE_AGE_MS) return this.#text!;
    try {
      this.#text = readFileSync(this.path, "utf8");
    } catch (error) {
      // Between two writes of a rotation the file may be away; the old text may still serve.
      if (this.#text === null) throw error;
    }
    this.#readAt = now;
    return this.#text;
  }
  expire(): void {
    this.#readAt = -Infinity;
  }
}

/** Options of {@link loadKubeConfig}, all for tests. */
export interface LoadOptions {
  /** The kubeconfig file; without it $KUBECONFIG, then the cluster we run in, then ~/.kube/config. */
  path?: string | undefined;
  context?: string | undefined;
  env?: Record<string, string | undefined>;
  serviceAccountDir?: string;
  /** Monotonic milliseconds. */
  now?: () => number;
}

/**
 * Finds the API server: the given file, else $KUBECONFIG, else the cluster that this pod runs in, else ~/.kube/config.
 * @throws MeshStorError HostUnsuitable with a sentence that names the file and the entry at fault.
 */
export function loadKubeConfig(options: LoadOptions = {}): KubeConfig {
  const env = options.env ?? process.env;
  if (options.path) return fromKubeconfig(options.path, options);
  if (env.KUBECONFIG) return fromKubeconfig(firstExisting(env.KUBECONFIG.split(delimiter)), options);
  if (env.KUBERNETES_SERVICE_HOST) return inClusterConfig(options);
  return fromKubeconfig(join(env.HOME ?? homedir(), ".kube", "config"), options);
}

/** The API server of the cluster that this pod runs in, with its service account. */
export function inClusterConfig(options: LoadOptions = {}): KubeConfig {
  const env = options.env ?? process.env;
  const host = env.KUBERNETES_SERVICE_HOST;
  if (!host) throw unsuitable("KUBERNETES_SERVICE_HOST is not set: this is not a pod of a Kubernetes cluster");
  const now = options.now ?? monotonicNow;
  const dir = options.serviceAccountDir ?? SERVICE_ACCOUNT_DIR;
  const token = new AgingFile(join(dir, "token"), now);
  const ca = new AgingFile(join(dir, "ca.crt"), now);
  const port = env.KUBERNETES_SERVICE_PORT ?? "443";
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    token: () => token.text().trim(),
    ca: () => ca.text(),
    refresh: () => {
      token.expire();
      ca.expire();
    },
  };
}

type Fields = Record<string, unknown>;
interface Named {
  name?: unknown;
  [section: string]: unknown;
}

function fromKubeconfig(path: string, options: LoadOptions): KubeConfig {
  const file = readKubeconfig(path);
  const entry = (list: string, section: string, name: string): Fields => {
    const entries = file[list];
    const found = Array.isArray(entries) ? (entries as (Named | null)[]).find((item) => item?.name === name) : undefined;
    const fields = found?.[section];
    if (typeof fields !== "object" || fields === null) throw unsuitable(`${path}: there is no ${section} ${JSON.stringify(name)} under ${list}`);
    return fields as Fields;
  };
  const contextName = options.context ?? text(file["current-context"]);
  if (!contextName) throw unsuitable(`${path}: no current-context is set`);
  const context = entry("contexts", "context", contextName);
  const cluster = entry("clusters", "cluster", text(context.cluster) ?? "");
  const userName = text(context.user);
  const user = userName ? entry("users", "user", userName) : {};
  for (const unsupported of ["exec", "auth-provider", "username"]) {
    if (user[unsupported] !== undefined)
      throw unsuitable(`${path}: user ${JSON.stringify(userName)} signs in by ${unsupported}, which is not supported: use a token, a token file or a client certificate`);
  }
  return clusterConfig(path, cluster, user, options.now ?? monotonicNow);
}

function clusterConfig(path: string, cluster: Fields, user: Fields, now: () => number): KubeConfig {
  const server = text(cluster.server);
  if (!server || !/^https?:\/\//.test(server) || !URL.canParse(server))
    throw unsuitable(`${path}: the cluster's server ${JSON.stringify(cluster.server)} is not an http or https URL`);
  const files: AgingFile[] = [];
  /** Data within the kubeconfig (base64), else the text of a file named in it, else nothing. */
  const material = (fields: Fields, name: string): (() => string) | undefined => {
    const data = text(fields[`${name}-data`]);
    if (data) {
      const decoded = Buffer.from(data, "base64").toString("utf8");
      return () => decoded;
    }
    return fileOf(fields, name);
  };
  const fileOf = (fields: Fields, name: string): (() => string) | undefined => {
    const named = text(fields[name]);
    if (!named) return undefined;
    const file = new AgingFile(resolve(dirname(path), named), now);
    files.push(file);
    return () => file.text();
  };
  const serverName = text(cluster["tls-server-name"]);
  const ca = material(cluster, "certificate-authority");
  const cert = material(user, "client-certificate");
  const key = material(user, "client-key");
  if (!cert !== !key) throw unsuitable(`${path}: a client certificate needs both client-certificate and client-key`);
  const fixedToken = text(user.token);
  const tokenFile = fileOf(user, "tokenFile");
  // As kubectl does: the file wins over the text.
  const token = tokenFile ? () => tokenFile().trim() : fixedToken ? () => fixedToken : undefined;
  return {
    server,
    ...(serverName && { serverName }),
    ...(cluster["insecure-skip-tls-verify"] === true && { insecureSkipTlsVerify: true }),
    ...(ca && { ca }),
    ...(cert && key && { clientCertificate: () => ({ cert: cert(), key: key() }) }),
    ...(token && { token }),
    refresh: () => files.forEach((file) => file.expire()),
  };
}

function readKubeconfig(path: string): Fields {
  let parsed: unknown;
  try {
    // Pretty errors quote the file, which holds secrets.
    parsed = parse(readFileSync(path, "utf8"), { prettyErrors: false });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MeshStorError("HostUnsuitable", `the kubeconfig ${path} cannot be read: ${reason}`, { cause });
  }
  if (typeof parsed !== "object" || parsed === null) throw unsuitable(`${path} is not a kubeconfig`);
  return parsed as Fields;
}

function firstExisting(paths: string[]): string {
  const candidates = paths.filter((path) => path !== "");
  for (const path of candidates) {
    try {
      readFileSync(path);
      return path;
    } catch {
      // The next one.
    }
  }
  throw unsuitable(`none of the files in KUBECONFIG can be read: ${candidates.join(", ")}`);
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
function unsuitable(message: string): MeshStorError {
  return new MeshStorError("HostUnsuitable", message);
}
function monotonicNow(): number {
  return performance.now();
}
