/**
 * Runs a host program: no shell, fixed locale, a deadline. SIGTERM at the deadline, SIGKILL soon
 * after; a child that stays (D state) is left behind and counted (stranded.ts), never waited for.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { spawn, type ChildProcess } from "node:child_process";
import { MeshStorError } from "../base/errors.ts";
import { stretched } from "../base/time-scale.ts";
import { stranded } from "./stranded.ts";

/** From SIGTERM to SIGKILL, and from SIGKILL until the child counts as stranded, in ms. */
const GRACE_MS = stretched(500);
const DEFAULT_MAX_OUTPUT = 8 * 1024 * 1024;

/** Ends every program that is run within it, as its deadline does, and lets no further one begin (until-loss.ts). */
export const whatEnds = new AsyncLocalStorage<AbortSignal>();

export interface RunOptions {
  /** Time after which the child is killed, in ms. */
  deadlineMs: number;
  stdin?: string | Buffer;
  /** Bytes kept of stdout and of stderr each; more is dropped and the result is marked. */
  maxOutput?: number;
  env?: Readonly<Record<string, string>>;
  /** What the command can hang on (a drive, an export): bounds the stranded children of it. */
  lane?: string;
  /** The command releases what hangs (fail, disconnect, cut): never refused for the sake of others. */
  releases?: boolean;
}

export interface RunResult {
  /** The command line, for messages. */
  command: string;
  exitCode: number | null;
  signal: string | null;
  timedOut: boolean;
  /** Why it was ended before its deadline; null if it was not. */
  endedFor: string | null;
  /** The child did not even die of SIGKILL. */
  stranded: boolean;
  truncated: boolean;
  durationMs: number;
  stdout: Buffer;
  stderr: string;
}

/** Runs `argv` to its end or deadline; throws only if it could not be started (HostUnsuitable) or is refused by the breaker. */
export function run(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  stranded.admit(options.lane ?? "", options.releases ?? false);
  const early = whatEnds.getStore();
  if (early?.aborted) return Promise.reject(early.reason);
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const command = argv.map(shortWord).join(" ");
    const child = spawn(argv[0]!, argv.slice(1), { stdio: "pipe", env: { ...process.env, LC_ALL: "C", ...options.env } });
    const out = collector(options.maxOutput ?? DEFAULT_MAX_OUTPUT);
    const err = collector(options.maxOutput ?? DEFAULT_MAX_OUTPUT);
    child.stdout.on("data", out.add);
    child.stderr.on("data", err.add);
    child.stdin.on("error", () => {}); // EPIPE: the child ended without reading; its exit code tells.
    child.stdin.end(options.stdin ?? "");
    let left: (() => void) | null = null;
    const finish = (exitCode: number | null, signal: string | null) => {
      ending.over();
      resolve({
        command,
        exitCode,
        signal,
        timedOut: ending.begun,
        endedFor: ending.early,
        stranded: left !== null,
        truncated: out.truncated() || err.truncated(),
        durationMs: Math.round(performance.now() - started),
        stdout: out.bytes(),
        stderr: err.bytes().toString(),
      });
    };
    const ending = new Ending(child, stretched(options.deadlineMs), early, () => {
      left = stranded.add(command, options.lane ?? "");
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      child.unref();
      finish(null, null);
    });
    child.on("error", (error) => {
      ending.over();
      reject(new MeshStorError("HostUnsuitable", `${argv[0]} cannot be started: ${error.message}`, { cause: error }));
    });
    child.on("exit", () => left?.());
    child.on("close", (code, signal) => {
      if (!left) finish(code, signal);
    });
  });
}

/** Ends a child at its deadline, or when the signal says so: SIGTERM, then SIGKILL; one that does not even die of that is abandoned. */
class Ending {
  begun = false;
  /** Why before its deadline; null if not. */
  early: string | null = null;
  #timer: NodeJS.Timeout;
  readonly #child: ChildProcess;
  readonly #signal: AbortSignal | undefined;
  readonly #abandon: () => void;

  constructor(child: ChildProcess, deadlineMs: number, signal: AbortSignal | undefined, abandon: () => void) {
    this.#child = child;
    this.#signal = signal;
    this.#abandon = abandon;
    this.#timer = setTimeout(() => this.#begin(), deadlineMs);
    signal?.addEventListener("abort", this.#onAbort);
  }

  /** It has ended, or is no longer waited for. */
  over(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => {
    if (this.begun) return;
    clearTimeout(this.#timer);
    this.early = (this.#signal!.reason as Error).message;
    this.#begin();
  };

  #begin(): void {
    this.begun = true;
    this.#child.kill("SIGTERM");
    this.#timer = setTimeout(() => {
      this.#child.kill("SIGKILL");
      this.#timer = setTimeout(this.#abandon, GRACE_MS);
    }, GRACE_MS);
  }
}

/** A program given as a word is left out of messages. */
function shortWord(word: string): string {
  return word.includes("\n") ? "…" : word;
}

/** Like {@link run}, but any exit code outside `okCodes` (default 0) is an error; returns stdout as text. */
export async function runOk(argv: readonly string[], options: RunOptions & { okCodes?: readonly number[] }): Promise<string> {
  return (await runBytes(argv, options)).toString();
}

/** Like {@link runOk}, but returns stdout as bytes. */
export async function runBytes(argv: readonly string[], options: RunOptions & { okCodes?: readonly number[] }): Promise<Buffer> {
  const result = await run(argv, options);
  const error = failure(result, options.okCodes ?? [0]);
  if (error) throw error;
  return result.stdout;
}

/** The result as an error of the table; null if it ended with one of `okCodes`. */
export function failure(result: RunResult, okCodes: readonly number[] = [0]): MeshStorError | null {
  if (result.timedOut) return new MeshStorError("CommandTimedOut", describe(result));
  if (result.exitCode !== null && okCodes.includes(result.exitCode)) return null;
  return new MeshStorError("CommandFailed", describe(result));
}

/** The result in one line: command, how it ended, and the last thing it said. */
export function describe(result: RunResult): string {
  const how = result.timedOut
    ? `${result.endedFor === null ? "did not end within" : "was ended after"} ${result.durationMs} ms${result.stranded ? " and cannot be killed" : ""}`
    : result.signal
      ? `was killed by ${result.signal}`
      : `failed with exit code ${result.exitCode}`;
  const said = lastWords(result.stderr) || lastWords(result.stdout.toString());
  const command = result.command.length > 300 ? `${result.command.slice(0, 300)}…` : result.command;
  const words = [result.endedFor, said].filter((word) => word !== null && word !== "");
  return `'${command}' ${how}${words.length > 0 ? `: ${words.join("; ")}` : ""}`;
}

function lastWords(text: string): string {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return lines.slice(-3).join("; ").slice(0, 500);
}

function collector(limit: number): { add(chunk: Buffer): void; bytes(): Buffer; truncated(): boolean } {
  const chunks: Buffer[] = [];
  let size = 0;
  let cut = false;
  const add = (chunk: Buffer) => {
    const room = limit - size;
    if (chunk.length > room) cut = true;
    if (room <= 0) return;
    const part = chunk.subarray(0, room);
    chunks.push(part);
    size += part.length;
  };
  return { add, bytes: () => Buffer.concat(chunks), truncated: () => cut };
}
