/**
 * Typed requests to the Kubernetes API server.
 *
 * - Every read is a quorum read: no `resourceVersion` is ever sent with a get or list, so that the answer is
 *   linearizable, also with several API servers (I2).
 * - `replace` and `replaceStatus` send the object's `resourceVersion`: a compare-and-swap.
 * - Nothing is retried here but a request answered 401 (with the token read anew) and a read whose kept-alive
 *   connection turned out to be closed. A write without an answer is reported as `ambiguous`; see update.ts.
 * - Every request ends by its deadline (10 s unless told). The thread pool is used for nothing but resolving a host
 *   name, so prefer an IP address as server: a name cannot be resolved while hung file-system calls fill the pool.
 */
import type { KubeConfig } from "./config.ts";
import { KubeError } from "./kube-error.ts";
import { createTransport, type Transport } from "./transport.ts";
import { apiVersionOf, type ResourceType } from "./resources.ts";

export { KubeError } from "./kube-error.ts";
export type { ResourceType } from "./resources.ts";

export interface RequestOptions {
  /** Namespace of a namespaced kind; create and replace default to the object's own. */
  namespace?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Deadline of the request, 10 s unless told. */
  timeoutMs?: number | undefined;
}
export interface ListOptions extends RequestOptions {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}
export interface PatchOptions extends RequestOptions {
  subresource?: "status" | "scale" | undefined;
}
export interface RemoveOptions extends RequestOptions {
  /** Preconditions: nothing is deleted unless they hold (409 otherwise). */
  uid?: string | undefined;
  resourceVersion?: string | undefined;
}
export type WatchEvent<T> = { type: "ADDED" | "MODIFIED" | "DELETED"; object: T } | { type: "BOOKMARK"; resourceVersion: string };
export interface WatchOptions<T> {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  resourceVersion: string;
  /** The server ends the watch after this time. */
  timeoutSeconds: number;
  /** The watch fails if nothing arrives for this long. */
  idleMs: number;
  signal: AbortSignal;
  /** Called when the server has accepted the watch. */
  onOpen(): void;
  onEvent(event: WatchEvent<T>): void;
}
/** A list and the resource version from which a watch continues it. */
export interface List<T> {
  items: T[];
  resourceVersion: string;
}

export interface KubeClient {
  /** Quorum read. */
  get<T>(type: ResourceType<T>, name: string, options?: RequestOptions): Promise<T>;
  /** Quorum read; null if there is no such object. */
  tryGet<T>(type: ResourceType<T>, name: string, options?: RequestOptions): Promise<T | null>;
  /** All objects, as of one moment; fetched in pages. */
  list<T>(type: ResourceType<T>, options?: ListOptions): Promise<List<T>>;
  create<T>(type: ResourceType<T>, object: T, options?: RequestOptions): Promise<T>;
  /** Compare-and-swap by `metadata.resourceVersion`; the status of our kinds is ignored. */
  replace<T>(type: ResourceType<T>, object: T, options?: RequestOptions): Promise<T>;
  /** Compare-and-swap of the status; everything else is ignored. */
  replaceStatus<T>(type: ResourceType<T>, object: T, options?: RequestOptions): Promise<T>;
  /** JSON merge patch; a compare-and-swap if the patch holds `metadata.resourceVersion`. */
  mergePatch<T>(type: ResourceType<T>, name: string, patch: object, options?: PatchOptions): Promise<T>;
  /** Strategic merge patch of the status of one of Kubernetes' own kinds: conditions are merged by their type, those of others stay. */
  patchStatus<T>(type: ResourceType<T>, name: string, status: object, options?: RequestOptions): Promise<T>;
  remove(type: ResourceType<unknown>, name: string, options?: RemoveOptions): Promise<void>;
  /** One watch connection; resolves when the server ends it in order, throws KubeError otherwise. For {@link Informer}. */
  watch<T>(type: ResourceType<T>, options: WatchOptions<T>): Promise<void>;
  /** Closes the kept-alive connections. */
  close(): void;
}

/** A client of the API server that the configuration names. */
export function createKubeClient(config: KubeConfig): KubeClient {
  return new HttpKubeClient(createTransport(config));
}

interface Meta {
  metadata?: { name?: string; namespace?: string; resourceVersion?: string };
}
interface ListAnswer<T> {
  metadata?: { resourceVersion?: string; continue?: string };
  items?: T[] | null;
}
interface WatchLine {
  type?: string;
  object?: { metadata?: { resourceVersion?: string; name?: string }; code?: number; reason?: string; message?: string };
}
const PAGE_SIZE = 500;

class HttpKubeClient implements KubeClient {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async get<T>(type: ResourceType<T>, name: string, options: RequestOptions = {}): Promise<T> {
    return (await this.#transport.request({ method: "GET", path: objectPath(type, name, options.namespace), ...timing(options) })) as T;
  }

  async tryGet<T>(type: ResourceType<T>, name: string, options: RequestOptions = {}): Promise<T | null> {
    try {
      return await this.get(type, name, options);
    } catch (error) {
      if (error instanceof KubeError && error.isNotFound) return null;
      throw error;
    }
  }

  async list<T>(type: ResourceType<T>, options: ListOptions = {}): Promise<List<T>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#listPages(type, options);
      } catch (error) {
        // The position in a long list expired between two pages: begin again.
        if (attempt < 3 && error instanceof KubeError && error.isExpired) continue;
        throw error;
      }
    }
  }

  async #listPages<T>(type: ResourceType<T>, options: ListOptions): Promise<List<T>> {
    const items: T[] = [];
    let position: string | undefined;
    for (;;) {
      const query = { limit: String(PAGE_SIZE), continue: position, labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
      const path = collectionPath(type, options.namespace) + queryString(query);
      const page = (await this.#transport.request({ method: "GET", path, ...timing(options) })) as ListAnswer<T>;
      const apiVersion = apiVersionOf(type);
      // Items of a list of a built-in kind carry no apiVersion and kind of their own.
      for (const item of page.items ?? []) items.push({ apiVersion, kind: type.kind, ...item });
      position = page.metadata?.continue;
      if (!position) return { items, resourceVersion: page.metadata?.resourceVersion ?? "" };
    }
  }

  async create<T>(type: ResourceType<T>, object: T, options: RequestOptions = {}): Promise<T> {
    const path = collectionPath(type, namespaceFor(type, object as Meta, options));
    return (await this.#transport.request({ method: "POST", path, body: object, ...timing(options) })) as T;
  }

  replace<T>(type: ResourceType<T>, object: T, options: RequestOptions = {}): Promise<T> {
    return this.#put(type, object, "", options);
  }

  replaceStatus<T>(type: ResourceType<T>, object: T, options: RequestOptions = {}): Promise<T> {
    return this.#put(type, object, "/status", options);
  }

  async #put<T>(type: ResourceType<T>, object: T, suffix: string, options: RequestOptions): Promise<T> {
    const { metadata } = object as Meta;
    if (!metadata?.name) throw new Error(`replace: a ${type.kind} without metadata.name`);
    // Without it some kinds would be overwritten unconditionally.
    if (!metadata.resourceVersion) throw new Error(`replace: ${type.kind} ${metadata.name} has no metadata.resourceVersion to compare with`);
    const path = objectPath(type, metadata.name, namespaceFor(type, object as Meta, options)) + suffix;
    return (await this.#transport.request({ method: "PUT", path, body: object, ...timing(options) })) as T;
  }

  async mergePatch<T>(type: ResourceType<T>, name: string, patch: object, options: PatchOptions = {}): Promise<T> {
    const path = objectPath(type, name, options.namespace) + (options.subresource ? `/${options.subresource}` : "");
    const contentType = "application/merge-patch+json";
    return (await this.#transport.request({ method: "PATCH", path, body: patch, contentType, ...timing(options) })) as T;
  }

  async patchStatus<T>(type: ResourceType<T>, name: string, status: object, options: RequestOptions = {}): Promise<T> {
    const path = `${objectPath(type, name, options.namespace)}/status`;
    const contentType = "application/strategic-merge-patch+json";
    return (await this.#transport.request({ method: "PATCH", path, body: { status }, contentType, ...timing(options) })) as T;
  }

  async remove(type: ResourceType<unknown>, name: string, options: RemoveOptions = {}): Promise<void> {
    const preconditions = { uid: options.uid, resourceVersion: options.resourceVersion };
    const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Background", preconditions };
    await this.#transport.request({ method: "DELETE", path: objectPath(type, name, options.namespace), body, ...timing(options) });
  }

  async watch<T>(type: ResourceType<T>, options: WatchOptions<T>): Promise<void> {
    const { resourceVersion, timeoutSeconds, labelSelector, fieldSelector } = options;
    const query = { watch: "1", allowWatchBookmarks: "true", resourceVersion, timeoutSeconds: String(timeoutSeconds), labelSelector, fieldSelector };
    await this.#transport.stream({
      path: collectionPath(type, options.namespace) + queryString(query),
      idleMs: options.idleMs,
      signal: options.signal,
      onOpen: options.onOpen,
      onLine: (line) => options.onEvent(parseWatchLine<T>(line)),
    });
  }

  close(): void {
    this.#transport.close();
  }
}

/** One line of a watch; throws KubeError for an ERROR event and for a line that is not one of the protocol. */
export function parseWatchLine<T>(line: string): WatchEvent<T> {
  const garbage = (): KubeError => new KubeError({ status: 0, reason: "Garbage", message: `a watch sent a line that is no event: ${line.slice(0, 80)}` });
  let event: WatchLine | null;
  try {
    event = JSON.parse(line) as WatchLine | null;
  } catch {
    throw garbage();
  }
  const object = event?.object;
  if (typeof event !== "object" || typeof object !== "object" || object === null) throw garbage();
  if (event!.type === "ERROR") {
    throw new KubeError({ status: object.code ?? 500, reason: object.reason ?? "Unknown", message: `the watch ended: ${object.message ?? "no message"}` });
  }
  const resourceVersion = object.metadata?.resourceVersion;
  if (typeof resourceVersion !== "string" || resourceVersion === "") throw garbage();
  switch (event!.type) {
    case "BOOKMARK":
      return { type: "BOOKMARK", resourceVersion };
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      if (typeof object.metadata?.name !== "string") throw garbage();
      return { type: event!.type, object: object as T };
    default:
      throw garbage();
  }
}

function timing(options: RequestOptions): { signal: AbortSignal | undefined; timeoutMs: number | undefined } {
  return { signal: options.signal, timeoutMs: options.timeoutMs };
}
function namespaceFor(type: ResourceType<unknown>, object: Meta, options: RequestOptions): string | undefined {
  return type.namespaced ? (options.namespace ?? object.metadata?.namespace) : undefined;
}
function collectionPath(type: ResourceType<unknown>, namespace: string | undefined): string {
  const root = type.group === "" ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scope = type.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${root}${scope}/${type.plural}`;
}
function objectPath(type: ResourceType<unknown>, name: string, namespace: string | undefined): string {
  // `.` and `..` would be resolved away and address something else.
  if (name === "" || name === "." || name === "..") throw new Error(`${JSON.stringify(name)} is not a name of a ${type.kind}`);
  if (type.namespaced && !namespace) throw new Error(`${type.kind} ${name}: no namespace given`);
  return `${collectionPath(type, namespace)}/${encodeURIComponent(name)}`;
}
function queryString(values: Record<string, string | undefined>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (value) query.set(key, value);
  return `?${query.toString()}`;
}
