/**
 * An API server in memory, for tests only: optimistic concurrency, status subresource, finalizers,
 * preconditions and watches like the real one's; every request can be delayed or failed.
 */
import { isDeepStrictEqual } from "node:util";

import type { ObjectMeta } from "../api/volume.ts";
import {
  type KubeClient,
  KubeError,
  type List,
  type ListOptions,
  type PatchOptions,
  type RemoveOptions,
  type ResourceType,
  type WatchEvent,
  type WatchOptions,
} from "../kube/client.ts";
import { LEASES, NODES } from "../kube/resources.ts";

interface Stored {
  metadata: ObjectMeta;
  status?: unknown;
}
type Verb = "get" | "list" | "create" | "replace" | "replaceStatus" | "mergePatch" | "patchStatus" | "remove";
/** Kinds whose status is not a subresource of its own here. */
const WHOLE: ReadonlySet<string> = new Set([NODES.plural, LEASES.plural]);

export class FakeKube implements KubeClient {
  /** Called before every request; may wait, or throw to fail it. */
  before: (verb: Verb, plural: string, name: string) => void | Promise<void> = () => {};
  /** Wall clock for timestamps. */
  now: () => Date = () => new Date();
  readonly #stores = new Map<string, Map<string, Stored>>();
  readonly #watchers = new Map<string, Set<(event: WatchEvent<Stored>) => void>>();
  #version = 1;

  async get<T>(type: ResourceType<T>, name: string): Promise<T> {
    await this.#begin("get", type, name);
    return structuredClone(this.#stored(type, name)) as T;
  }
  async tryGet<T>(type: ResourceType<T>, name: string): Promise<T | null> {
    await this.#begin("get", type, name);
    return (structuredClone(this.#store(type).get(name)) as T | undefined) ?? null;
  }
  async list<T>(type: ResourceType<T>, _options?: ListOptions): Promise<List<T>> {
    await this.#begin("list", type, "");
    return { items: structuredClone([...this.#store(type).values()]) as T[], resourceVersion: String(this.#version) };
  }
  async create<T>(type: ResourceType<T>, object: T): Promise<T> {
    const made = structuredClone(object) as Stored;
    const { name } = made.metadata;
    await this.#begin("create", type, name);
    if (this.#store(type).has(name)) throw new KubeError({ status: 409, reason: "AlreadyExists", message: `${type.plural} "${name}" already exists` });
    if (!WHOLE.has(type.plural)) delete made.status;
    Object.assign(made.metadata, { uid: `uid-${name}-${this.#version}`, creationTimestamp: this.now().toISOString() });
    return this.#put(type, made, "ADDED") as T;
  }
  async replace<T>(type: ResourceType<T>, object: T): Promise<T> {
    const given = structuredClone(object) as Stored;
    const old = await this.#compare("replace", type, given.metadata);
    const { uid, creationTimestamp, deletionTimestamp } = old.metadata;
    const metadata = { ...given.metadata, uid, creationTimestamp, ...(deletionTimestamp && { deletionTimestamp }) } as ObjectMeta;
    const whole = WHOLE.has(type.plural);
    return this.#settle(type, old, { ...given, metadata, ...(!whole && old.status !== undefined && { status: old.status }) }) as T;
  }
  async replaceStatus<T>(type: ResourceType<T>, object: T): Promise<T> {
    const given = structuredClone(object) as Stored;
    const old = await this.#compare("replaceStatus", type, given.metadata);
    return this.#settle(type, old, { ...old, status: given.status }) as T;
  }
  async mergePatch<T>(type: ResourceType<T>, name: string, patch: object, options: PatchOptions = {}): Promise<T> {
    await this.#begin("mergePatch", type, name);
    const old = this.#stored(type, name);
    const { metadata = {} } = patch as { metadata?: Partial<ObjectMeta> };
    this.#check(type, old, metadata);
    const next = merge(old, patch) as Stored;
    if (!options.subresource && !WHOLE.has(type.plural)) next.status = old.status;
    return this.#settle(type, old, next) as T;
  }
  async patchStatus<T>(type: ResourceType<T>, name: string, status: { conditions?: { type: string }[] }): Promise<T> {
    await this.#begin("patchStatus", type, name);
    const old = this.#stored(type, name);
    const { conditions = [] } = (old.status ?? {}) as typeof status;
    const { conditions: given = [], ...rest } = status;
    const merged = [...conditions.map((c) => ({ ...c, ...given.find((g) => g.type === c.type) })), ...given.filter((g) => !conditions.some((c) => c.type === g.type))];
    return this.#settle(type, old, { ...old, status: { ...(old.status as object), ...rest, conditions: merged } }) as T;
  }
  async remove(type: ResourceType<unknown>, name: string, options: RemoveOptions = {}): Promise<void> {
    await this.#begin("remove", type, name);
    const old = this.#stored(type, name);
    this.#check(type, old, options);
    const deletionTimestamp = old.metadata.deletionTimestamp ?? this.now().toISOString();
    this.#settle(type, old, { ...old, metadata: { ...old.metadata, deletionTimestamp } });
  }
  async watch<T>(type: ResourceType<T>, options: WatchOptions<T>): Promise<void> {
    const watchers = this.#watchers.get(type.plural) ?? new Set();
    this.#watchers.set(type.plural, watchers);
    const { promise, resolve } = Promise.withResolvers<void>();
    const deliver = (event: WatchEvent<Stored>) => setImmediate(() => !options.signal.aborted && options.onEvent(structuredClone(event) as WatchEvent<T>));
    watchers.add(deliver);
    options.onOpen();
    options.signal.addEventListener("abort", () => resolve(), { once: true });
    if (!options.signal.aborted) await promise;
    watchers.delete(deliver);
  }
  close(): void {}

  /** An object as it is stored now, without a request. */
  peek<T>(type: ResourceType<T>, name: string): T | undefined {
    return structuredClone(this.#store(type).get(name)) as T | undefined;
  }

  /** Puts or replaces an object as it is, status and all. */
  seed<T>(type: ResourceType<T>, object: T): void {
    const made = structuredClone(object) as Stored;
    const old = this.#store(type).get(made.metadata.name);
    Object.assign(made.metadata, {
      uid: made.metadata.uid ?? old?.metadata.uid ?? `uid-${made.metadata.name}-${this.#version}`,
      creationTimestamp: made.metadata.creationTimestamp ?? this.now().toISOString(),
    });
    this.#put(type, made, old ? "MODIFIED" : "ADDED");
  }

  async #begin(verb: Verb, type: ResourceType<unknown>, name: string): Promise<void> {
    await Promise.resolve();
    await this.before(verb, type.plural, name);
  }
  #store(type: ResourceType<unknown>): Map<string, Stored> {
    const store = this.#stores.get(type.plural) ?? new Map<string, Stored>();
    this.#stores.set(type.plural, store);
    return store;
  }
  #stored(type: ResourceType<unknown>, name: string): Stored {
    const found = this.#store(type).get(name);
    if (!found) throw new KubeError({ status: 404, reason: "NotFound", message: `${type.plural} "${name}" not found` });
    return found;
  }
  async #compare(verb: Verb, type: ResourceType<unknown>, metadata: ObjectMeta): Promise<Stored> {
    await this.#begin(verb, type, metadata.name);
    const old = this.#stored(type, metadata.name);
    this.#check(type, old, metadata);
    return old;
  }
  #check(type: ResourceType<unknown>, { metadata }: Stored, given: { uid?: string | undefined; resourceVersion?: string | undefined }): void {
    const same = (given.uid ?? metadata.uid) === metadata.uid && (given.resourceVersion ?? metadata.resourceVersion) === metadata.resourceVersion;
    if (!same) throw new KubeError({ status: 409, reason: "Conflict", message: `${type.plural} "${metadata.name}" was changed` });
  }
  /** Writes what changed; an object that is being deleted goes with its last finalizer. */
  #settle(type: ResourceType<unknown>, old: Stored, next: Stored): Stored {
    const { name, deletionTimestamp, finalizers = [] } = next.metadata;
    if (deletionTimestamp && finalizers.length === 0) {
      this.#store(type).delete(name);
      this.#tell(type, { type: "DELETED", object: { ...next, metadata: { ...next.metadata, resourceVersion: String(++this.#version) } } });
      return structuredClone(next);
    }
    return isDeepStrictEqual(old, next) ? structuredClone(old) : this.#put(type, next, "MODIFIED");
  }
  #put(type: ResourceType<unknown>, object: Stored, event: "ADDED" | "MODIFIED"): Stored {
    const stored = JSON.parse(JSON.stringify({ ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } })) as Stored;
    this.#store(type).set(stored.metadata.name, stored);
    this.#tell(type, { type: event, object: stored });
    return structuredClone(stored);
  }
  #tell(type: ResourceType<unknown>, event: WatchEvent<Stored>): void {
    for (const deliver of this.#watchers.get(type.plural) ?? []) deliver(event);
  }
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = typeof target === "object" && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}
