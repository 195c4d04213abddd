/**
 * Process guests run on one processor each (processor.ts). Which of them are busy changes from second to second, so the
 * process that owns a lab moves one of its guests when a processor is full while another one has time.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { allProcesses } from "../run-state.ts";
import { allowedOf, processors } from "./processor.ts";

const LOOK_MS = 500;
/** A guest's use is measured over this long. */
const MEASURE_MS = 200;
/** Busy shares of a processor that is full, and of one that has time. */
const FULL = 0.95;
const HAS_TIME = 0.75;
/** What is moved uses at least this much; less makes no difference. */
const WORTH = 0.05;

/** A guest on its processor, and the share of a processor that it uses. */
export interface Placed {
  readonly leader: number;
  readonly cpu: number;
  readonly share: number;
}

/** Which guest goes where, by the busy share of every processor; null if all may stay. Pure. */
export function chooseMove(busy: ReadonlyMap<number, number>, guests: readonly Placed[]): { leader: number; to: number } | null {
  const between = lopsided(busy);
  if (between === null) return null;
  const { full, free, gap } = between;
  // One that fills the gap would only make the other processor the full one.
  const worth = guests.filter((g) => g.cpu === full && g.share > WORTH && g.share < gap);
  const best = worth.toSorted((a, b) => Math.abs(a.share - gap / 2) - Math.abs(b.share - gap / 2))[0];
  return best === undefined ? null : { leader: best.leader, to: free };
}

/** A processor that is full beside one that has time, and how much more the first one does; null if there are no such two. */
function lopsided(busy: ReadonlyMap<number, number>): { full: number; free: number; gap: number } | null {
  const sorted = [...busy].toSorted((a, b) => a[1] - b[1]);
  const [cold, hot] = [sorted[0], sorted.at(-1)];
  if (cold === undefined || hot === undefined || hot[1] < FULL || cold[1] > HAS_TIME) return null;
  return { full: hot[0], free: cold[0], gap: hot[1] - cold[1] };
}

/** Busy and total time of every processor in ticks, from /proc/stat (proc_stat(5)). Pure. */
export function readTimes(stat: string): Map<number, { busy: number; total: number }> {
  const rows = [...stat.matchAll(/^cpu(\d+) (.*)$/gm)].map(([, cpu, rest]) => [Number(cpu), rest!.split(" ").map(Number)] as const);
  return new Map(
    rows.map(([cpu, times]) => {
      const total = times.slice(0, 8).reduce((a, b) => a + b, 0);
      return [cpu, { busy: total - times[3]! - times[4]!, total }];
    }),
  );
}

/** Looks after the guests whose first processes `leaders` names, until the returned function is called. Keeps no program from ending. */
export function balance(leaders: () => readonly number[]): () => void {
  const allowed = new Set(processors(allowedOf("self") ?? ""));
  if (allowed.size < 2) return () => {};
  let before = times();
  let busy = false;
  const look = async (): Promise<void> => {
    const now = times();
    const shares = new Map([...now].filter(([cpu]) => allowed.has(cpu)).map(([cpu, t]) => [cpu, shareOf(before.get(cpu), t)]));
    before = now;
    if (lopsided(shares) === null) return;
    const move = chooseMove(shares, await measure(leaders()));
    if (move !== null) await put(move.leader, move.to);
    before = times();
  };
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    void look()
      .catch(() => {})
      .finally(() => (busy = false));
  }, LOOK_MS).unref();
  return () => clearInterval(timer);
}

const times = () => readTimes(readFileSync("/proc/stat", "latin1"));

function shareOf(before: { busy: number; total: number } | undefined, now: { busy: number; total: number }): number {
  if (before === undefined || now.total === before.total) return 0;
  return (now.busy - before.busy) / (now.total - before.total);
}

async function measure(leaders: readonly number[]): Promise<Placed[]> {
  const [first, start] = [usesOf(leaders), performance.now()];
  await sleep(MEASURE_MS, undefined, { ref: false });
  const ticks = (performance.now() - start) / 10;
  const second = usesOf(leaders);
  return leaders.flatMap((leader) => {
    const on = processors(allowedOf(leader) ?? "");
    if (on.length !== 1) return [];
    const was = first.get(leader) ?? new Map<number, number>();
    let used = 0;
    for (const [pid, time] of second.get(leader) ?? []) used += time - (was.get(pid) ?? 0);
    return [{ leader, cpu: on[0]!, share: used / ticks }];
  });
}

/** Ticks (of 10 ms) that every process of these groups has used. */
function usesOf(leaders: readonly number[]): Map<number, Map<number, number>> {
  const uses = new Map(leaders.map((leader) => [leader, new Map<number, number>()]));
  for (const { pid, stat } of allProcesses()) uses.get(stat.group)?.set(pid, stat.ticks);
  return uses;
}

/** All processes of a group; those that are made meanwhile have it from the one that makes them. */
async function put(leader: number, cpu: number): Promise<void> {
  const pids = [...usesOf([leader]).get(leader)!.keys()];
  const script = `for p in ${pids.join(" ")}; do taskset --all-tasks --pid --cpu-list ${cpu} $p; done`;
  await new Promise<void>((resolve) => execFile("sh", ["-c", script], () => resolve()));
}
