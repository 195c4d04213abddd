/**
 * The canonical form of a world: equal for two worlds from which the same can follow. Everything in a world counts unless
 * it is named here, so that what the model learns to keep is never left out by mistake. Names that were made up on
 * the way, numbers of writes and event counts stand for their order only; times for their distance from now;
 * of the record's past only what somebody may still act upon.
 */
import { hash } from "node:crypto";
import type { Api, NodeState, PassMemory, PendingPut, World } from "../src/core/testing/world.ts";

/** `known`: made-up UUIDs up to this number are the same in all worlds that are compared. */
export function hashOf(w: World, known = 0): string {
  return hash("sha1", canonical(w, known), "base64");
}

const MADE_UP = /(\d{8})-0000-4000-8000-000000000000/g;

/** As text; made-up UUIDs that are not known are numbered as they appear. */
export function canonical(w: World, known = 0): string {
  const names = new Map<string, number>();
  return new Writer(w, known).world().replaceAll(MADE_UP, (id, number: string) => {
    if (Number(number) <= known) return id;
    if (!names.has(id)) names.set(id, names.size);
    return `#${names.get(id)}`;
  });
}

/** Says nothing about what can follow: the story so far, counters that only make names, and what other parts say. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  "protocol",
  "rng",
  "log",
  "trace",
  "crashed",
  "steps",
  "killAt",
  "nextWrite",
  "nextID",
  "nowMs",
  "pass",
  "last",
  "cache",
  "takenAtMs",
]);
/** Never changed once made: written once, and named after that. */
const FIXED: ReadonlySet<string> = new Set(["host", "volume", "batch", "action", "intent"]);
/** Longest wait of the planner that counts from a claim, ms. */
const LONGEST_WAIT_MS = 15_000;
/** A look at the host is used no longer than this, ms. */
const LOOK_MS = 1_000;

/** Writes one world as text. An object that is met again is named by its number. */
class Writer {
  readonly #w: World;
  readonly #known: number;
  readonly #met = new Map<object, number>();
  readonly #writes: Map<number, number>;
  readonly #events: Map<number, number>;

  constructor(w: World, known: number) {
    this.#w = w;
    this.#known = known;
    const parts = w.nodes.flatMap((n) => n.drives.flatMap((d) => d.parts));
    this.#writes = ranks([...w.acked.flat(), ...parts.flatMap((p) => p.content), ...w.nodes.flatMap(writesOf)], 0);
    this.#events = ranks(
      parts.flatMap((p) => p.superblock?.events ?? []),
      -1,
    );
  }

  world(): string {
    return this.#object(this.#w as unknown as Record<string, unknown>);
  }

  #value(key: string, value: unknown): string {
    if (typeof value === "number") return this.#number(key, value);
    if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "-";
    if (FIXED.has(key)) return this.#fixed(value);
    if (key === "api") return this.#api(value as Api);
    if (key === "memory") return this.#memory(value as PassMemory);
    if (key === "seen" && "host" in value) return this.#seen(value as NonNullable<NodeState["agent"]["seen"]>);
    const met = this.#met.get(value);
    if (met !== undefined) return `^${met}`;
    this.#met.set(value, this.#met.size);
    if (value instanceof Set) return this.#list(key, sorted(value));
    if (value instanceof Map) return this.#list(key, [...value].toSorted(([a], [b]) => order(a, b)).flat());
    if (Array.isArray(value)) return this.#list(key, value);
    return this.#object(value as Record<string, unknown>, key === "joinNotBefore");
  }

  /** `times`: every value of it is a time that is only waited for. */
  #object(value: Record<string, unknown>, times = false): string {
    let text = "{";
    for (const key in value) if (!LEFT_OUT.has(key)) text += `${key}:${times ? Math.max(0, (value[key] as number) - this.#w.nowMs) : this.#value(key, value[key])},`;
    return `${text}}`;
  }

  #list(key: string, list: readonly unknown[]): string {
    let text = "[";
    for (const value of list) text += `${this.#value(key, value)},`;
    return `${text}]`;
  }

  #number(key: string, value: number): string {
    if (key === "content" || key === "value" || key === "acked") return String(this.#writes.get(value) ?? value);
    if (key === "events") return String(this.#events.get(value) ?? value);
    if (key === "claimedAtMs") return String(Math.min(this.#w.nowMs - value, LONGEST_WAIT_MS));
    return String(key.endsWith("AtMs") ? this.#w.nowMs - value : value);
  }

  /** A look that is too old to be used is none. */
  #seen({ host, atMs }: NonNullable<NodeState["agent"]["seen"]>): string {
    const age = this.#w.nowMs - atMs;
    return age < LOOK_MS ? `${this.#fixed(host)}@${age}` : "none";
  }

  #memory({ volume, freshUntil, host, batch, failed, steps }: PassMemory): string {
    return [this.#fixed(volume), freshUntil >= this.#w.nowMs, this.#fixed(host), this.#fixed(batch), failed, steps].join();
  }

  /** The versions that somebody may still see, how far each node is behind, and the writes that may still land. */
  #api({ versions, pending, ...rest }: Api): string {
    const latest = versions.length - 1;
    const behind = this.#w.nodes.map((n) => (n.agent.cache < 0 ? -1 : latest - n.agent.cache));
    const inFlight = (p: PendingPut) => this.#w.nodes.some((n) => n.name === p.from && n.agent.point?.moment === "within");
    const seen = versions.slice(latest - Math.max(0, ...behind)).map((v) => (v ? this.#fixed(v) : "gone"));
    const puts = pending.filter((p) => p.over === latest || inFlight(p)).map((p) => [p.from, p.over === latest ? this.#fixed(p.status) : "stale", inFlight(p)].join());
    return [...seen, behind.join(), ...puts, this.#object(rest)].join("|");
  }

  /** The text, or a short name for it where no made-up UUID in it has to be numbered anew. */
  #fixed(thing: object): string {
    const { text, name, newest } = textOf(thing);
    return newest > this.#known ? text : name;
  }
}

interface Text {
  text: string;
  /** Stands for the text. */
  name: string;
  /** Number of the last made-up UUID in it. */
  newest: number;
}

/** Things that never change once made, as text without their times; made once. */
const texts = new WeakMap<object, Text>();

function textOf(thing: object): Text {
  let found = texts.get(thing);
  if (!found) {
    const text = JSON.stringify(thing).replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"|"takenAtMs":\d+/g, '"t"');
    found = { text, name: `@${hash("sha1", text, "base64")}`, newest: Math.max(0, ...[...text.matchAll(MADE_UP)].map(([, number]) => Number(number))) };
    texts.set(thing, found);
  }
  return found;
}

function writesOf(n: NodeState): number[] {
  const late = [...n.exports, ...n.conns.map((c) => c.export)].flatMap((e) => e.late.map((x) => x.value));
  return [...late, ...n.arrays.flatMap((a) => a.writes.map((x) => x.value))];
}

/** Each number above `floor` by its place among all of them. */
function ranks(values: readonly number[], floor: number): Map<number, number> {
  const above = [...new Set(values)].filter((value) => value > floor).toSorted((a, b) => a - b);
  return new Map(above.map((value, i) => [value, floor + 1 + i]));
}

function sorted(set: ReadonlySet<unknown>): unknown[] {
  return [...set].toSorted(order);
}

function order(a: unknown, b: unknown): number {
  return (a as string) < (b as string) ? -1 : Number((a as string) > (b as string));
}
