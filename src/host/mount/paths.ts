/** Directories that volumes are mounted on, looked at and made in children with a deadline (the path may lie on a hung mount). */
import { failure, run, runOk } from "../exec.ts";
import { removeBindFile } from "./bind-device.ts";

const DEADLINE_MS = 10_000;

/** What is at a path, without following a last symbolic link; a path below a file counts as a file. Throws CommandTimedOut for a hung mount: it is not missing. */
export async function pathKind(path: string): Promise<"directory" | "file" | "missing"> {
  const kind = await statKind(path);
  return kind === "below a file" ? "file" : kind;
}

async function statKind(path: string): Promise<"directory" | "file" | "missing" | "below a file"> {
  const result = await run(["stat", "--format=%F", "--", path], { deadlineMs: DEADLINE_MS });
  if (result.exitCode === 0) return result.stdout.toString().trim() === "directory" ? "directory" : "file";
  if (/No such file or directory/.test(result.stderr)) return "missing";
  if (/Not a directory/.test(result.stderr)) return "below a file";
  throw failure(result, [])!;
}

export async function makeDirectory(path: string): Promise<void> {
  await runOk(["mkdir", "-p", "-m", "0750", "--", path], { deadlineMs: DEADLINE_MS });
}

/** Removes an empty directory, or the empty file that a device was bound on; one that is gone already is fine, a full directory is refused by rmdir. */
export async function removeDirectory(path: string): Promise<void> {
  const kind = await statKind(path);
  if (kind === "missing" || kind === "below a file") return;
  if (kind === "file") return removeBindFile(path);
  await runOk(["rmdir", "--", path], { deadlineMs: DEADLINE_MS });
}
