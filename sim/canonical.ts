/**
 * The canonical form of a world: equal for two worlds from which the same can follow. Names that were made up on
 * the way, numbers of writes and event counts stand for their order only; times for what is left of them;
 * of the record's past only what somebody may still act upon.
 */
import { hash } from "node:crypto";
import type { AgentState, ArrayState, ConnState, NodeState, Part, PendingPut, WindowState, World } from "../src/core/testing/world.ts";
import { findPart } from "../src/core/testing/world.ts";

/** Longest wait of the planner that counts from a claim, ms. */
const LONGEST_WAIT_MS = 15_000;
/** A look at the host is used no longer than this, ms. */
const LOOK_MS = 1_000;

/** `known`: made-up UUIDs up to this number are the same in all worlds that are compared. */
export function hashOf(w: World, known = 0): string {
  return hash("sha1", canonical(w, known), "base64");
}

const MADE_UP = /(\d{8})-0000-4000-8000-000000000000/g;

/** As text; made-up UUIDs that are not known are numbered as they appear. */
export function canonical(w: World, known = 0): string {
  const names = new Map<string, number>();
  return JSON.stringify(form(w, known)).replaceAll(MADE_UP, (id, number: string) => {
    if (Number(number) <= known) return id;
    if (!names.has(id)) names.set(id, names.size);
    return `#${names.get(id)}`;
  });
}

function form(w: World, known: number): unknown {
  const textOf = (thing: object) => nameOf(thing, known);
  const writes = orderOf(valuesOf(w), 0);
  const events = orderOf(
    w.nodes.flatMap((n) => n.drives.flatMap((d) => d.parts.flatMap((p) => p.superblock?.events ?? []))),
    -1,
  );
  const rank: Rank = { write: (value) => writes.get(value) ?? value, events: (value) => events.get(value) ?? value };
  return [
    w.nodes.map((n) => nodeForm(w, n, rank, textOf)),
    apiForm(w, textOf),
    w.acked.map((blocks) => blocks.map(rank.write)),
    [sorted(w.cuts), sorted(w.exported), sorted(w.connected), sorted(w.started), [...w.epochOwner], w.everMounted, w.trouble],
  ];
}

interface Rank {
  write(value: number): number;
  events(value: number): number;
}

/** Each number above `floor` by its place among all of them. */
function orderOf(values: readonly number[], floor: number): Map<number, number> {
  const above = [...new Set(values)].filter((value) => value > floor).sort((a, b) => a - b);
  return new Map(above.map((value, i) => [value, floor + 1 + i]));
}

function valuesOf(w: World): number[] {
  return [
    ...w.acked.flat(),
    ...w.nodes.flatMap((n) => [
      ...n.drives.flatMap((d) => d.parts.flatMap((p) => p.content)),
      ...n.exports.flatMap((e) => e.late.map((x) => x.value)),
      ...n.arrays.flatMap((a) => a.writes.map((x) => x.value)),
    ]),
  ];
}

function sorted<T extends string | number>(set: Iterable<T>): T[] {
  return [...set].sort((a, b) => (a < b ? -1 : Number(a > b)));
}

function nodeForm(w: World, n: NodeState, rank: Rank, textOf: TextOf): unknown {
  return [
    [n.boot, n.up, n.wants, n.mayBeStaged],
    n.drives.map((d) => [d.device, d.present, d.incarnation, d.parts.map((p) => partForm(p, rank))]),
    n.exports.map((e) => [e.nqn, partRef(w, e.part), e.device, e.incarnation, e.ready, e.late.map((x) => [x.block, x.phase, rank.write(x.value)])]),
    n.conns.map((c) => connForm(w, c)),
    n.windows.map((x) => windowForm(w, n, x)),
    n.arrays.map((a) => arrayForm(a, rank)),
    n.volumeDevice ? n.volumeDevice.below.map((a) => a.slot) : null,
    n.mounts,
    agentForm(w, n.agent, textOf),
  ];
}

function partForm(p: Part, rank: Rank): unknown {
  const sb = p.superblock;
  return [
    p.uuid,
    p.number,
    p.startBytes,
    p.content.map(rank.write),
    typeof p.label === "string" || p.label === null ? p.label : [p.label.volume, p.label.member, p.label.epoch, p.label.generation],
    sb && [sb.arrayUUID, rank.events(sb.events), sb.raidDisks, sorted(sb.bitmap), sb.rebuilding],
  ];
}

/** A partition by name, and whether it is still the one on the drive. */
function partRef(w: World, p: Part): unknown {
  return [p.uuid, findPart(w, p.uuid) === p];
}

function connForm(w: World, c: ConnState): unknown {
  const { drive, incarnation, part } = c.export;
  return [c.slot, c.nqn, c.provider, c.state, c.broken, c.gone, drive.id, incarnation, partRef(w, part)];
}

function windowForm(w: World, n: NodeState, x: WindowState): unknown {
  const below = x.conn ? [n.conns.indexOf(x.conn), x.conn.nqn] : [x.drive!.id, x.incarnation];
  return [x.slot, x.uuid, x.epoch, partRef(w, x.part), below];
}

function arrayForm(a: ArrayState, rank: Rank): unknown {
  return [
    [a.slot, a.arrayUUID, a.mirror, a.epoch, a.raidDisks, a.recovering, sorted(a.bitmap)],
    a.members.map((m) => [m.window.slot, m.inSync, m.faulty, m.kicked, m.writeMostly, sorted(m.todo)]),
    a.writes.map((x) => [x.block, rank.write(x.value), x.phase, sorted(x.waiting)]),
  ];
}

function agentForm(w: World, a: AgentState, textOf: TextOf): unknown {
  const { claimedAtMs, joinNotBefore, ...session } = a.session;
  const { memory, seen } = a;
  return [
    session,
    session.claimedEpoch === null ? 0 : Math.min(w.nowMs - claimedAtMs, LONGEST_WAIT_MS),
    Object.entries(joinNotBefore).map(([uuid, at]) => [uuid, Math.max(0, at - w.nowMs)]),
    a.intent.kind,
    seen && w.nowMs - seen.atMs < LOOK_MS ? [textOf(seen.host), w.nowMs - seen.atMs] : null,
    a.point,
    memory && [textOf(memory.volume), memory.freshUntil >= w.nowMs, textOf(memory.host), textOf(memory.batch), memory.failed, memory.steps],
    a.jobs.map((j) => j.key),
    sorted(a.bumped),
  ];
}

/** The versions that somebody may still see, how far each node is behind, and the writes that may still land. */
function apiForm(w: World, textOf: TextOf): unknown {
  const { versions, pending } = w.api;
  const latest = versions.length - 1;
  const behind = w.nodes.map((n) => (n.agent.cache < 0 ? -1 : latest - n.agent.cache));
  const inFlight = (p: PendingPut) => w.nodes.some((n) => n.name === p.from && n.agent.point?.moment === "within");
  return [
    versions.slice(latest - Math.max(0, ...behind)).map((v) => v && textOf(v)),
    behind,
    pending.filter((p) => p.over === latest || inFlight(p)).map((p) => [p.from, p.over === latest ? textOf(p.status) : "stale", inFlight(p)]),
    sorted(w.api.cut),
  ];
}

type TextOf = (thing: object) => string;

/** Things that never change once made, as text without their times; made once. */
const texts = new WeakMap<object, { text: string; newest: number }>();
/** A short name for every text. */
const names = new Map<string, string>();

/** The text, or a short name for it where no made-up UUID in it has to be numbered anew. */
function nameOf(thing: object, known: number): string {
  let found = texts.get(thing);
  if (!found) {
    const text = JSON.stringify(thing).replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"|"takenAtMs":\d+/g, '"t"');
    found = { text, newest: Math.max(0, ...[...text.matchAll(MADE_UP)].map(([, number]) => Number(number))) };
    texts.set(thing, found);
  }
  const { text, newest } = found;
  if (newest > known) return text;
  if (!names.has(text)) names.set(text, `@${names.size}`);
  return names.get(text)!;
}
