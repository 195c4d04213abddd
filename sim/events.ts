/**
 * The events of the exhaustive search: everything that can happen next in a world, each small enough that
 * nothing can come between its parts. An event's name says all about it; what is left open inside it (which
 * of two outcomes) is drawn through the world's choices.
 */
import { advance } from "../src/core/testing/time.ts";
import { endJob } from "../src/core/testing/agent.ts";
import { landPut } from "../src/core/testing/api.ts";
import { breakConnection, connState, land, pathOf, read, settleWrites, stepRecovery, stepWrite, submit } from "../src/core/testing/md.ts";
import { cut, detectLosses, killAgent, kubeletAsks, powerOff, powerOn, pullDrive, stepAgent } from "../src/core/testing/model.ts";
import { checkWorld } from "../src/core/testing/invariants.ts";
import type { ArrayState, ExportState, NodeState, PendingPut, World } from "../src/core/testing/world.ts";
import { nodeOf, say } from "../src/core/testing/world.ts";
import type { Grain } from "./grain.ts";

/** The block that the application writes; block 0 is the filesystem's. */
const BLOCK = 1;
/** Long enough for every wait of a start, and for what was read to be old. */
const TICK_MS = 20_000;

type Words = readonly string[];

const arrayOf = (w: World, [node = "", index = ""]: Words): ArrayState => nodeOf(w, node).arrays[Number(index)]!;

/** Every event by its first word; the others are its arguments. */
export const EVENTS: Readonly<Record<string, (w: World, words: Words) => void>> = {
  agent: checked((w, [node = ""]) => goOn(w, nodeOf(w, node))),
  batch: checked((w, [node = ""]) => toDecision(w, nodeOf(w, node))),
  news: checked((w, [node = ""]) => {
    nodeOf(w, node).agent.cache += 1;
  }),
  catchup: checked((w, [node = ""]) => {
    nodeOf(w, node).agent.cache = w.api.versions.length - 1;
  }),
  job: checked((w, [node = ""]) => endJob(w, nodeOf(w, node))),
  ask: checked((w, [node = ""]) => kubeletAsks(nodeOf(w, node))),
  want: checked((w, [node = "", what = ""]) => {
    const n = nodeOf(w, node);
    n.wants = what === "stage" ? "stage" : n.mayBeStaged ? "unstage" : "none";
    say(w, `kubelet wants node ${node}: ${n.wants}`);
    kubeletAsks(n);
  }),
  detect: checked(detectLosses),
  tick: checked((w) => {
    advance(w, TICK_MS);
    say(w, `${TICK_MS / 1000} s pass`);
  }),
  write: checked((w, words) => void submit(w, arrayOf(w, words), BLOCK)),
  read: checked((w, words) => read(w, arrayOf(w, words), BLOCK)),
  io: checked((w, words) => {
    const array = arrayOf(w, words);
    stepWrite(w, array, array.writes[Number(words[2])]!, words[3]!);
  }),
  settle: checked((w, words) => settleWrites(w, arrayOf(w, words))),
  sync: checked((w, words) => void stepRecovery(w, arrayOf(w, words))),
  late: checked((w, [nqn = "", index = ""]) =>
    land(
      w,
      exportsOf(w).find((e) => e.nqn === nqn)!,
      Number(index),
    ),
  ),
  land: checked((w, [index = ""]) => {
    const put = orphans(w)[Number(index)]!;
    if (landPut(w, put)) say(w, `a late write of ${put.from} lands`);
  }),
  on: checked((w, [node = ""]) => powerOn(w, nodeOf(w, node))),
  heal: checked((w) => {
    say(w, "networks and the API are in reach again");
    w.cuts.clear();
    w.api.cut.clear();
  }),
  back: checked((w, [node = "", index = ""]) => {
    say(w, `${node}: drive ${index} is back`);
    nodeOf(w, node).drives[Number(index)]!.present = true;
  }),
  // Faults.
  kill: checked((w, [node = ""]) => killAgent(w, nodeOf(w, node))),
  die: checked((w, [node = ""]) => dieWithin(w, nodeOf(w, node))),
  off: checked((w, [node = ""]) => powerOff(w, nodeOf(w, node))),
  cut: checked((w, [a = "", b = ""]) => cut(w, a, b)),
  break: checked((w, [node = "", index = ""]) => {
    say(w, `${node}: a connection breaks`);
    breakConnection(w, nodeOf(w, node), nodeOf(w, node).conns[Number(index)]!);
  }),
  pull: checked((w, [node = "", index = ""]) => pullDrive(w, nodeOf(w, node), Number(index))),
  mute: checked((w, nodes) => {
    say(w, `${nodes.join(", ")}: the API is out of reach`);
    for (const node of nodes) w.api.cut.add(node);
  }),
};

function checked(event: (w: World, words: Words) => void): (w: World, words: Words) => void {
  return (w, words) => {
    event(w, words);
    checkWorld(w);
  };
}

/**
 * An agent to its next stop: decided and nothing done, half-way through an action, or behind one. The point before
 * an action is none: it equals the one behind the action before it, or the decision.
 */
function goOn(w: World, n: NodeState): void {
  do stepAgent(w, n);
  while (n.agent.point?.moment === "before");
}

/** An agent through a whole batch, to its next decision or the end of its pass. */
function toDecision(w: World, n: NodeState): void {
  do stepAgent(w, n);
  while (n.agent.pass && n.agent.point?.moment !== "planned");
}

/** An agent dies at one of the points of its batch. */
function dieWithin(w: World, n: NodeState): void {
  while (n.agent.pass && !w.rng.chance(0.5)) {
    stepAgent(w, n);
    if (n.agent.point?.moment === "planned") break;
  }
  killAgent(w, n);
}

/** What a history may still spend; `plan` is what kubelet wants, in this order. */
export interface Budget {
  faults: number;
  writes: number;
  ticks: number;
  wishes: readonly string[];
}

export interface Event {
  move: string;
  /** What it takes from the budget. */
  costs: keyof Budget | null;
}

/** All that can happen next. */
export function menu(w: World, budget: Budget, grain: Grain): Event[] {
  const free = [...w.nodes.flatMap((n) => nodeEvents(w, n, grain)), ...w.nodes.flatMap((n) => n.arrays.flatMap((_, i) => arrayEvents(n, i))), ...lateEvents(w), ...mendings(w)];
  const events: Event[] = free.map((move) => ({ move, costs: null }));
  const [wish] = budget.wishes;
  if (wish !== undefined) events.push({ move: `want ${wish}`, costs: "wishes" });
  if (budget.ticks > 0) events.push({ move: "tick", costs: "ticks" });
  if (budget.writes > 0) events.push(...writes(w).map((move): Event => ({ move, costs: "writes" })));
  if (budget.faults > 0) events.push(...faults(w, grain).map((move): Event => ({ move, costs: "faults" })));
  return events;
}

function nodeEvents(w: World, n: NodeState, grain: Grain): string[] {
  if (!n.up) return [];
  const { agent, name } = n;
  const heard = agent.cache >= 0;
  return [
    ...(heard || !w.api.cut.has(name) ? [`${grain === "step" ? "agent" : "batch"} ${name}`] : []),
    ...(heard && agent.cache < w.api.versions.length - 1 && !w.api.cut.has(name) ? [`${grain === "step" ? "news" : "catchup"} ${name}`] : []),
    ...(agent.jobs.length > 0 ? [`job ${name}`] : []),
    ...(n.wants === agent.intent.kind ? [] : [`ask ${name}`]),
  ];
}

function arrayEvents(n: NodeState, index: number): string[] {
  const array = n.arrays[index]!;
  const at = `${n.name} ${index}`;
  const io = array.writes.flatMap((write, i) =>
    [...write.waiting].flatMap((uuid) => {
      const m = array.members.find((x) => x.window.uuid === uuid);
      return m && !m.faulty && pathOf(m.window) === "held" ? [] : [`io ${at} ${i} ${uuid}`];
    }),
  );
  const syncs = array.recovering || array.members.some((m) => !m.inSync && !m.faulty);
  const reads = n.mounts.length > 0 && !array.writes.some((x) => x.block === BLOCK);
  return [...io, ...(array.writes.length > 0 ? [`settle ${at}`] : []), ...(syncs ? [`sync ${at}`] : []), ...(reads ? [`read ${at}`] : [])];
}

function exportsOf(w: World): ExportState[] {
  return w.nodes.flatMap((n) => n.exports);
}

/** Writes of the record whose sender is dead or has given up. */
function orphans(w: World): PendingPut[] {
  return w.api.pending.filter((p) => !w.nodes.some((n) => n.name === p.from && n.agent.point?.moment === "within"));
}

/** What was under way when its sender or its path died. That it never arrives needs no event. */
function lateEvents(w: World): string[] {
  const requests = exportsOf(w)
    .filter((e) => e.drive.present && e.drive.incarnation === e.incarnation)
    .flatMap((e) => e.late.map((_, i) => `late ${e.nqn} ${i}`));
  const latest = w.api.versions.length - 1;
  return [...requests, ...orphans(w).flatMap((p, i) => (p.over === latest ? [`land ${i}`] : []))];
}

function mendings(w: World): string[] {
  const unseen = w.nodes.some((n) => n.conns.some((c) => c.broken && c.state === "live"));
  return [
    ...(unseen ? ["detect"] : []),
    ...w.nodes.filter((n) => !n.up).map((n) => `on ${n.name}`),
    ...(w.cuts.size + w.api.cut.size > 0 ? ["heal"] : []),
    ...w.nodes.flatMap((n) => n.drives.flatMap((d, i) => (d.present ? [] : [`back ${n.name} ${i}`]))),
  ];
}

function writes(w: World): string[] {
  return w.nodes.flatMap((n) => (n.mounts.length === 0 ? [] : n.arrays.flatMap((a, i) => (a.writes.some((x) => x.block === BLOCK) ? [] : [`write ${n.name} ${i}`]))));
}

function faults(w: World, grain: Grain): string[] {
  const up = w.nodes.filter((n) => n.up);
  const pairs = w.nodes.flatMap((a, i) => w.nodes.slice(i + 1).map((b) => [a.name, b.name] as const));
  return [
    ...up.filter((n) => n.agent.cache >= 0).map((n) => `${grain === "step" ? "kill" : "die"} ${n.name}`),
    ...up.map((n) => `off ${n.name}`),
    ...pairs.filter(([a, b]) => !w.cuts.has(`${a}-${b}`)).map(([a, b]) => `cut ${a} ${b}`),
    ...up.flatMap((n) => n.conns.flatMap((c, i) => (connState(c) === "live" ? [`break ${n.name} ${i}`] : []))),
    ...up.flatMap((n) => n.drives.flatMap((d, i) => (d.present && d.parts.length > 0 ? [`pull ${n.name} ${i}`] : []))),
    ...w.nodes.filter((n) => !w.api.cut.has(n.name)).map((n) => `mute ${n.name}`),
    ...(w.api.cut.size === 0 ? [`mute ${w.nodes.map((n) => n.name).join(" ")}`] : []),
  ];
}
