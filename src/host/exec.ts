/**
 * Runs a host program: no shell, fixed locale, a deadline. SIGTERM at the deadline, SIGKILL soon
 * after; a child that stays (D state) is left behind and counted (stranded.ts), never waited for.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { spawn } from "node:child_process";
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
    let timedOut = false;
    let endedFor: string | null = null;
    let left: (() => void) | null = null;
    const finish = (exitCode: number | null, signal: string | null) => {
      clearTimeout(timer);
      early?.removeEventListener("abort", endEarly);
      const durationMs = Math.round(performance.now() - started);
      resolve({
        command,
        exitCode,
        signal,
        timedOut,
        endedFor,
        stranded: left !== null,
        truncated: out.truncated() || err.truncated(),
        durationMs,
        stdout: out.bytes(),
        stderr: err.bytes().toString(),
      });
    };
    const abandon = () => {
      left = stranded.add(command, options.lane ?? "");
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      child.unref();
      finish(null, null);
    };
    const kill = () => {
      child.kill("SIGKILL");
      timer = setTimeout(abandon, GRACE_MS);
    };
    const expire = () => {
      timedOut = true;
      child.kill("SIGTERM");
      timer = setTimeout(kill, GRACE_MS);
    };
    const endEarly = () => {
      if (timedOut) return;
      clearTimeout(timer);
      endedFor = (early!.reason as Error).message;
      expire();
    };
    early?.addEventListener("abort", endEarly);
    let timer = setTimeout(expire, stretched(options.deadlineMs));
    child.on("error", (error) => {
      clearTimeout(timer);
      early?.removeEventListener("abort", endEarly);
      reject(new MeshStorError("HostUnsuitable", `${argv[0]} cannot be started: ${error.message}`, { cause: error }));
    });
    child.on("exit", () => left?.());
    child.on("close", (code, signal) => {
      if (!left) finish(code, signal);
    });
  });
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
