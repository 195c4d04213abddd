/** Runs one program of the check or the test set and keeps what it printed. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "../..");

/** How a program ended. `output` is stdout and stderr in the order they came. */
export interface Ended {
  code: number | null;
  output: string;
  ms: number;
  /** It had printed its last line and was ended by us. */
  lingered?: boolean;
}

export interface CommandOptions {
  env?: Readonly<Record<string, string>>;
  /** Told every line as it comes. */
  onLine?: (line: string) => void;
  /** After this long the program and its group get SIGTERM, and SIGKILL some seconds later. */
  limitMs?: number;
  /** A program that has printed a line that begins so, and is still there `ms` later, is ended and has `lingered`. */
  lastLine?: { begins: string; ms: number };
}

/** Time between SIGTERM and SIGKILL: a lab takes its guests down in it. */
const GRACE_MS = 20_000;

/** Programs under way; an interrupted run ends them before it ends itself. */
const running = new Set<number>();

/** Runs a program under the project's root in a process group of its own; never throws for its exit code. */
export function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  const started = performance.now();
  return new Promise((done) => {
    const [program, ...args] = argv;
    const child = spawn(program!, args, { cwd: ROOT, env: { ...process.env, ...options.env }, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const group = child.pid;
    if (group !== undefined) running.add(group);
    const chunks: string[] = [];
    let lingered = false;
    let linger: NodeJS.Timeout | undefined;
    const take = lineSplitter((line) => {
      options.onLine?.(line);
      if (options.lastLine === undefined || linger || !line.startsWith(options.lastLine.begins)) return;
      linger = setTimeout(() => {
        lingered = true;
        if (group !== undefined) signalGroup(group, "SIGKILL");
      }, options.lastLine.ms);
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text: string) => {
        chunks.push(text);
        take(text);
      });
    }
    const limit = options.limitMs === undefined ? undefined : setTimeout(() => chunks.push(endGroup(group, options.limitMs!)), options.limitMs);
    const end = (code: number | null) => {
      clearTimeout(limit);
      clearTimeout(linger);
      if (group !== undefined) running.delete(group);
      done({ code, output: chunks.join(""), ms: performance.now() - started, ...(lingered ? { lingered } : {}) });
    };
    child.on("error", (error) => {
      chunks.push(`cannot run ${program}: ${error.message}\n`);
      end(null);
    });
    child.on("close", end);
  });
}

/** Runs a file of ours or of a package under the Node.js that runs this one. */
export function runNode(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  return runCommand([process.execPath, "--disable-warning=ExperimentalWarning", ...args], options);
}

/** Ends every program under way; for the signal handlers of the entry points. */
export function endAllCommands(): void {
  for (const group of running) signalGroup(group, "SIGTERM");
}

function endGroup(group: number | undefined, limitMs: number): string {
  if (group !== undefined) {
    signalGroup(group, "SIGTERM");
    setTimeout(() => running.has(group) && signalGroup(group, "SIGKILL"), GRACE_MS).unref();
  }
  return `\nended by the runner: longer than ${Math.round(limitMs / 60_000)} min\n`;
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // Gone already.
  }
}

function lineSplitter(onLine: (line: string) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  };
}
