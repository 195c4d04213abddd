/**
 * Kubernetes events (events.k8s.io/v1) about our objects. Telling is best effort and never delays or fails anything: what
 * cannot be written is dropped and logged.
 *
 * The first time a thing is said, an Event is made; the same again within six minutes only counts up a series, which is
 * written at most once a minute. Of different things, at most ten at once and one a minute are said about one object.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { MeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { DRIVER_NAME } from "../api/names.ts";
import type { ObjectMeta } from "../api/volume.ts";
import { KubeError, type KubeClient } from "./client.ts";
import { microTime } from "./lease.ts";
import { EVENTS, type KubeEvent, type ObjectReference } from "./resources.ts";

/** One thing to say about an object. */
export interface EventToTell {
  regarding: ObjectReference;
  type: "Normal" | "Warning";
  /** CamelCase, one of a fixed set (ErrorRow.reason for errors). */
  reason: string;
  /** What was being done, CamelCase: Provision, Stage, Replace … */
  action: string;
  note: string;
}
export interface EventRecorderOptions {
  client: Pick<KubeClient, "create" | "mergePatch">;
  /** Name of the reporting program instance: its pod or node. */
  instance: string;
  log: Pick<Logger, "info" | "warn">;
  /** Monotonic milliseconds, for tests. */
  now?: () => number;
  /** Wall clock, for tests. */
  date?: () => Date;
}

const SERIES_WINDOW_MS = 360_000;
const SERIES_WRITE_MS = 60_000;
const BURST = 10;
const REFILL_MS = 60_000;
const MAX_REMEMBERED = 2000;
const MAX_NOTE = 1024;

interface Series {
  name: string;
  namespace: string;
  count: number;
  written: number;
  lastSeen: number;
  lastWrite: number;
  lastObserved: Date;
}
interface Bucket {
  tokens: number;
  at: number;
}

/** Says things about objects as Kubernetes events. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #now: () => number;
  readonly #date: () => Date;
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, Bucket>();
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#date = options.date ?? (() => new Date());
  }

  /** Says it; returns at once. */
  tell(event: EventToTell): void {
    const key = JSON.stringify([event.regarding.uid ?? event.regarding.name, event.type, event.reason, event.action, event.note]);
    const now = this.#now();
    const series = this.#series.get(key);
    if (series && now - series.lastSeen < SERIES_WINDOW_MS) {
      this.#repeat(key, series, now);
      return;
    }
    if (!this.#allowed(event.regarding, now) || this.#waiting >= 100) {
      this.#dropped += 1;
      return;
    }
    const date = this.#date();
    const made = this.#make(event, date);
    const { name, namespace } = made.metadata;
    this.#series.delete(key);
    this.#series.set(key, { name, namespace, count: 1, written: 1, lastSeen: now, lastWrite: now, lastObserved: date });
    forgetOldest(this.#series);
    this.#enqueue(async () => void (await this.#options.client.create(EVENTS, made, { namespace })), key);
  }

  /** Says an error of the table: its reason, its sentence and what to do. */
  tellError(regarding: ObjectReference, action: string, error: MeshStorError): void {
    this.tell({ regarding, type: "Warning", reason: error.row.reason, action, note: `${error.message.replace(/\.?$/, ".")} ${error.row.hint}` });
  }

  /** Writes out the counts that have not been written yet and waits until everything is said, or `limitMs`; at shut-down. */
  async flush(limitMs = 2_000): Promise<void> {
    for (const [key, series] of this.#series) if (series.count > series.written) this.#writeSeries(key, series, this.#now());
    const limit = new AbortController();
    await Promise.race([this.#queue, sleep(limitMs, undefined, { signal: limit.signal }).catch(() => {})]);
    limit.abort();
  }

  #repeat(key: string, series: Series, now: number): void {
    series.count += 1;
    series.lastSeen = now;
    series.lastObserved = this.#date();
    if (now - series.lastWrite >= SERIES_WRITE_MS) this.#writeSeries(key, series, now);
  }

  #writeSeries(key: string, series: Series, now: number): void {
    series.lastWrite = now;
    series.written = series.count;
    const patch = { series: { count: series.count, lastObservedTime: microTime(series.lastObserved) } };
    this.#enqueue(async () => void (await this.#options.client.mergePatch(EVENTS, series.name, patch, { namespace: series.namespace })), key);
  }

  #make(event: EventToTell, date: Date): KubeEvent {
    // Events about objects without a namespace live in `default`: the server insists, and kubectl describe looks there.
    const namespace = event.regarding.namespace ?? "default";
    const suffix = `${date.getTime().toString(16)}${Math.floor(Math.random() * 0x1000000)
      .toString(16)
      .padStart(6, "0")}`;
    return {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: `${event.regarding.name.slice(0, 200).replace(/[.-]+$/, "")}.${suffix}`, namespace },
      eventTime: microTime(date),
      reportingController: DRIVER_NAME,
      reportingInstance: this.#options.instance.slice(0, 128),
      action: event.action.slice(0, 128),
      reason: event.reason.slice(0, 128),
      regarding: event.regarding,
      note: truncate(event.note),
      type: event.type,
    };
  }

  #allowed(regarding: ObjectReference, now: number): boolean {
    const key = regarding.uid ?? `${regarding.kind}/${regarding.name}`;
    const bucket = this.#buckets.get(key) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) / REFILL_MS);
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    forgetOldest(this.#buckets);
    return tokens >= 1;
  }

  #enqueue(write: () => Promise<void>, key: string): void {
    this.#waiting += 1;
    this.#queue = this.#queue.then(write).then(
      () => {
        this.#waiting -= 1;
        if (this.#dropped > 0) this.#options.log.warn("events were dropped", { dropped: this.#dropped });
        this.#dropped = 0;
      },
      (error: unknown) => {
        this.#waiting -= 1;
        // The Event is not there (it expired, or could not be made): the next time it is made anew.
        this.#series.delete(key);
        if (error instanceof KubeError && error.isNotFound) return;
        this.#options.log.warn("an event could not be written", { error });
      },
    );
  }
}

/** The reference to one of our objects, for an event about it. */
export function referenceTo(object: { apiVersion: string; kind: string; metadata: ObjectMeta }): ObjectReference {
  const { name, uid } = object.metadata;
  return { apiVersion: object.apiVersion, kind: object.kind, name, ...(uid && { uid }) };
}

function truncate(note: string): string {
  if (Buffer.byteLength(note) <= MAX_NOTE) return note;
  // Cut by bytes, as the server counts; a character that is cut in two is left out.
  return `${Buffer.from(note)
    .subarray(0, MAX_NOTE - 4)
    .toString("utf8")
    .replace(/\uFFFD+$/, "")} …`;
}

function forgetOldest(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= MAX_REMEMBERED) return;
    map.delete(key);
  }
}
