/** A guest's (or relay's) process on the host, remembered in a file so that another process can go on with it. */
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A process that is surely the one that was started: pids are reused, pid and start time are not. */
export interface ProcessId {
  readonly pid: number;
  readonly startTime: string;
}

/** What is remembered about a guest between processes. */
export interface RunState {
  readonly bootCount: number;
  /** Absent when the guest is off. */
  readonly process?: ProcessId;
  readonly frozen?: boolean;
  /** Its plug is being pulled: the end of its process is no surprise. */
  readonly ending?: boolean;
}

/** Reads a guest's state; a guest that was never on has booted 0 times. */
export function readRunState(path: string): RunState {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as RunState) : { bootCount: 0 };
}

/** Replaces a guest's state. */
export function writeRunState(path: string, state: RunState): void {
  writeFileSync(`${path}.new`, JSON.stringify(state));
  renameSync(`${path}.new`, path);
}

/** Identifies a running process; undefined when there is none with this pid, or only a zombie. */
export function identify(pid: number): ProcessId | undefined {
  const stat = statOf(pid);
  return stat === undefined || stat.state === "Z" || stat.state === "X" ? undefined : { pid, startTime: stat.startTime };
}

/** Whether exactly this process still runs. */
export function isAlive(process: ProcessId | undefined): boolean {
  return process !== undefined && identify(process.pid)?.startTime === process.startTime;
}

/** Kills a process and everything in its process group, and waits until all of it is gone. */
export async function killGroup(leader: ProcessId): Promise<void> {
  const target = isAlive(leader) ? -leader.pid : undefined;
  for (let waited = 0; waited < 10_000; waited += 10) {
    if (target !== undefined) signalQuietly(target);
    const left = livingMembers(leader.pid);
    if (left.length === 0 && !isAlive(leader)) return;
    // Without its leader a group's number can only be in use by its other members.
    if (target === undefined) for (const pid of left) signalQuietly(pid);
    await sleep(10);
  }
  throw new Error(`process group ${leader.pid} does not die: ${livingMembers(leader.pid).join(" ")} left`);
}

function signalQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

function livingMembers(group: number): number[] {
  return allProcesses()
    .filter(({ stat }) => stat.group === group && stat.state !== "Z" && stat.state !== "X")
    .map(({ pid }) => pid);
}

/** Every process there is. */
export function allProcesses(): { readonly pid: number; readonly stat: ProcessStat }[] {
  return readdirSync("/proc").flatMap((name) => {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    return stat === undefined ? [] : [{ pid: Number(name), stat }];
  });
}

/** A line of /proc/PID/stat (proc_pid_stat(5)), as far as it is used. */
export interface ProcessStat {
  readonly state: string;
  readonly group: number;
  /** User and system time, in ticks of 10 ms. */
  readonly ticks: number;
  readonly startTime: string;
}

function statOf(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", group: Number(fields[2]), ticks: Number(fields[11]) + Number(fields[12]), startTime: fields[19] ?? "" };
  } catch {
    return undefined;
  }
}
