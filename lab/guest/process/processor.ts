/**
 * A process guest runs on one processor of the host. Its kernel has a single one itself, and hands every system call and page
 * fault over between two processes of the host: on one processor that hand-over costs half as much, and a guest that is busy
 * alone is three times as fast (measured 2026-11-21, two cores, Linux 6.12: starting Node.js 202 ms instead of 674).
 */
import { readFileSync } from "node:fs";
import { allProcesses } from "../run-state.ts";

/** The words that run `argv` on one processor: the one with the fewest guests, or, while others boot beside it, the next by `index` (1, 2, ...). */
export function onOneProcessor(argv: readonly string[], index: number, firstBoot: boolean): string[] {
  const free = processors(allowedOf("self") ?? "");
  if (free.length < 2) return [...argv];
  return ["taskset", "--cpu-list", String(choose(free, pinnedGuests(), firstBoot ? index - 1 : 0)), ...argv];
}

/** Of the processors with the fewest guests first, the one at this place. Pure. */
export function choose(free: readonly number[], taken: readonly number[], place: number): number {
  const guests = (cpu: number): number => taken.filter((other) => other === cpu).length;
  return free.toSorted((a, b) => guests(a) - guests(b) || a - b)[place % free.length]!;
}

/** Processors of a list as `Cpus_allowed_list` writes it (proc_pid_status(5)): "0-2,5" is 0, 1, 2, 5. Pure. */
export function processors(list: string): number[] {
  return list
    .trim()
    .split(",")
    .filter((part) => part !== "")
    .flatMap((part) => {
      const [from = 0, to = from] = part.split("-").map(Number);
      return Array.from({ length: to - from + 1 }, (_, i) => from + i);
    });
}

/** The processor of every process guest that runs on just one, whatever lab it belongs to. */
function pinnedGuests(): number[] {
  // The first process of a guest leads its group, those that it makes do not.
  const leaders = allProcesses().filter(({ pid, stat }) => stat.group === pid && isGuest(pid));
  return leaders.flatMap(({ pid }) => {
    const on = processors(allowedOf(pid) ?? "");
    return on.length === 1 ? on : [];
  });
}

function isGuest(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("\0umid=");
  } catch {
    return false;
  }
}

/** The list of processors that a process may run on; undefined if there is no such process. */
export function allowedOf(pid: number | "self"): string | undefined {
  try {
    return /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  } catch {
    return undefined;
  }
}
