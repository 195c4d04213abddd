/**
 * Processes that outlive the program which starts them, and programs that are run to their end.
 * A process is known by its id and its start time, so that an id that was used again is never signalled.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Names one process for ever: an id alone is used again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and the process's start (field 22 of /proc/PID/stat). */
  readonly startTicks: string;
}

/** What {@link startDetached} needs. */
export interface DetachedOptions {
  readonly cwd: string;
  /** What it finds in its environment besides ours. */
  readonly env?: Readonly<Record<string, string>>;
  /** The file to which stdout and stderr are appended. */
  readonly logPath: string;
  /** The kernel kills the process when the program that started it ends, however it ends. */
  readonly dieWithStarter: boolean;
}

/**
 * Starts a program in a session and process group of its own.
 * @param prefix words before the program, as `ip netns exec NAME`; they must end in the program's exec.
 * @throws Error when the first word cannot be started at all.
 */
export function startDetached(prefix: readonly string[], program: readonly string[], options: DetachedOptions): ProcessIdentity {
  const tie = options.dieWithStarter ? ["setpriv", "--pdeathsig", "KILL", "--"] : [];
  const [command, ...args] = [...prefix, ...tie, ...program];
  if (command === undefined) throw new Error("startDetached: empty command");
  const log = openSync(options.logPath, "a");
  try {
    const child = spawn(command, args, { cwd: options.cwd, env: { ...process.env, ...options.env }, detached: true, stdio: ["ignore", log, log] });
    child.on("error", () => {});
    if (child.pid === undefined) throw new Error(`cannot start ${command}: is it installed?`);
    child.unref();
    return { pid: child.pid, startTicks: readStat(child.pid)?.startTicks ?? "" };
  } finally {
    closeSync(log);
  }
}

/** True while the process runs or is stopped; false when it has ended, also if nobody has reaped it yet. */
export function isAlive(process: ProcessIdentity): boolean {
  const stat = readStat(process.pid);
  if (stat === undefined || stat.startTicks !== process.startTicks) return false;
  // Its first thread is a zombie before the others have ended and let go of ports and locks.
  return stat.state === "Z" ? threadCount(process.pid) > 1 : stat.state !== "X";
}

function threadCount(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}

function readStat(pid: number): { state: string; startTicks: string } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses, and may itself contain both.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", startTicks: fields[19] ?? "" };
}

/** Signals the process and its group; does nothing when it has ended. */
export function signal(target: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isAlive(target)) return;
  try {
    process.kill(-target.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Waits until the process has ended; false when it lives on after `milliseconds`. */
export async function hasEnded(target: ProcessIdentity, milliseconds: number): Promise<boolean> {
  for (const start = Date.now(); isAlive(target); await sleep(20)) {
    if (Date.now() - start > milliseconds) return false;
  }
  return true;
}

/** True when the process's network namespace has a TCP socket listening on the port. */
export function listensOn(target: ProcessIdentity, port: number): boolean {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return ["tcp", "tcp6"].some((table) => {
    const rows = readTable(`/proc/${target.pid}/net/${table}`);
    return rows.some(([, local, , state]) => state === "0A" && local?.endsWith(wanted));
  });
}

function readTable(path: string): string[][] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/));
  } catch {
    return [];
  }
}

/** How a program that was run to its end ended. */
export interface Outcome {
  /** Exit code; 128 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@link runToEnd}. */
export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMilliseconds: number;
}

/**
 * Runs a program to its end and reports how it ended, whatever the exit code.
 * @throws Error when it cannot be started or does not end in time (it is killed then).
 */
export function runToEnd(argv: readonly string[], options: RunOptions): Promise<Outcome> {
  const [command = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...options.env }, stdio: "pipe" });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8");
      child[name].on("data", (text: string) => (output[name] += text));
    }
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, options.timeoutMilliseconds);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(new Error(`cannot run ${command}: ${error.message}`));
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      if (late) reject(new Error(`${argv.join(" ")} did not end within ${options.timeoutMilliseconds} ms: ${output.stderr}`));
      else resolve({ code: code ?? 128, ...output });
    });
    child.stdin.on("error", () => {});
    child.stdin.end(options.stdin ?? "");
  });
}
