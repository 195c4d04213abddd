/** Runs the set-up's host programs; the one place where set-up starts a child process. */
import { spawn } from "node:child_process";
import { openSync, closeSync } from "node:fs";

/** Options of {@link run}. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Host file that receives (appended) stdout and stderr; without it both are captured. */
  readonly logPath?: string;
  /** Text for the program's standard input; nothing by default. */
  readonly stdin?: string;
}

/** Runs a program to its end and returns its captured stdout; throws with the output's tail on any other exit than 0. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("run: empty command");
  const log = options.logPath === undefined ? undefined : openSync(options.logPath, "a");
  try {
    return await capture(program, args, options, log);
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

function capture(program: string, args: readonly string[], options: RunOptions, log: number | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [options.stdin === undefined ? "ignore" : "pipe", log ?? "pipe", log ?? "pipe"],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    child.on("error", (error) => reject(new Error(`cannot run ${program}: ${error.message}`)));
    child.on("close", (code, signal) => {
      const stdout = Buffer.concat(out).toString();
      if (code === 0) return resolve(stdout);
      const tail = `${Buffer.concat(err).toString()}${stdout}`.trim().split("\n").slice(-20).join("\n");
      const where = options.logPath === undefined ? tail : `see ${options.logPath}`;
      reject(new Error(`${program} ${args.join(" ")} ended with ${signal ?? code}: ${where}`));
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.stdin);
  });
}
