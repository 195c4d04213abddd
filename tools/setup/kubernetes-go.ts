/**
 * The machine's Go, for set-up steps that take programs or interface files from Go modules.
 * The go.mod and go.sum of each step pin what is taken; where it is downloaded from is the
 * machine's own configuration (GOPROXY).
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

import { run } from "./run.ts";

/** Where Go's own archive installs it; often not on PATH. */
const USUAL_PLACE = "/usr/local/go/bin";

/** No workspace of the caller's, and no download of another Go: an older one says in a sentence what go.mod asks for. */
const ENV = { GOWORK: "off", GOTOOLCHAIN: "local", CGO_ENABLED: "0" };

/**
 * The path of the `go` command.
 * @throws Error with a sentence for the user when there is none.
 */
export function findGo(): string {
  const dirs = [...(process.env["PATH"] ?? "").split(delimiter), USUAL_PLACE].filter((dir) => dir !== "");
  const found = dirs.map((dir) => join(dir, "go")).find(isExecutable);
  if (found !== undefined) return found;
  throw new Error(`There is no Go on this machine (looked in PATH and ${USUAL_PLACE}). Set-up builds Kubernetes from Go modules: install Go 1.26 or later and start again.`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Downloads modules that the go.mod in `dir` requires, checked against its go.sum.
 * @returns for every module path, the (read-only) folder with its source in the module cache.
 * @throws Error with Go's own message when a module cannot be had or its checksum differs.
 */
export async function downloadModules(dir: string, modules: readonly string[]): Promise<Record<string, string>> {
  const stdout = await run([findGo(), "mod", "download", "-json", ...modules], { cwd: dir, env: ENV });
  const answers = JSON.parse(`[${stdout.trim().replaceAll(/\}\s*\{/g, "},{")}]`) as { Path: string; Dir: string }[];
  return Object.fromEntries(answers.map((answer) => [answer.Path, answer.Dir]));
}

/** One program for {@link buildProgram}. */
export interface GoProgram {
  /** The folder with the go.mod and go.sum that pin it. */
  readonly moduleDir: string;
  /** Import path of the main package. */
  readonly package: string;
  /** Value for the linker's -ldflags. */
  readonly linkFlags: string;
  /** The file to write. */
  readonly output: string;
}

/**
 * Builds a program: static (no cgo), without this machine's paths, at low priority so that what else
 * runs on the machine stays responsive.
 * @throws Error with the compiler's last lines when the build fails.
 */
export async function buildProgram(program: GoProgram): Promise<void> {
  const flags = ["-mod=readonly", "-trimpath", "-ldflags", program.linkFlags, "-o", program.output];
  await run(["nice", "-n", "10", findGo(), "build", ...flags, program.package], { cwd: program.moduleDir, env: ENV });
}
