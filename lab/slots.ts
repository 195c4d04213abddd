/**
 * Labs that run side by side: a machine bears about one more than it has cores, more only make each other
 * slow. A lab of a test takes a slot and waits for one; detached labs (somebody plays with them) do not.
 */
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { labsAtOnce } from "../tools/labs-at-once.ts";
import { identify, isAlive, type ProcessId } from "./guest/run-state.ts";
import { labsDir } from "./state.ts";

const LOOK_AGAIN_MS = 500;

const sayOnStderr = (line: string): void => void process.stderr.write(`lab: ${line}\n`);

/**
 * Takes a slot, waiting for one as long as it takes; freed by the returned function, and when this process is gone.
 * Who waits is told so, and again whenever others hold the slots.
 */
export async function takeSlot(say: (line: string) => void = sayOnStderr): Promise<() => void> {
  const dir = `${labsDir()}-slots`;
  mkdirSync(dir, { recursive: true });
  let told = "";
  for (;;) {
    const paths = Array.from({ length: labsAtOnce() }, (_, slot) => join(dir, String(slot)));
    const free = paths.find((path) => tryTake(path));
    if (free !== undefined) return () => rmSync(free, { force: true });
    const sentence = waitSentence(paths);
    if (sentence !== told) say(sentence);
    told = sentence;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

/** The holder's identity appears whole, by a hard link, or not at all. */
function tryTake(path: string): boolean {
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, JSON.stringify(identify(process.pid)));
  try {
    if (isStale(path)) rmSync(path, { force: true });
    linkSync(mine, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(mine, { force: true });
  }
}

function isStale(path: string): boolean {
  const holder = holderOf(path);
  return holder !== undefined && !isAlive(holder);
}

/** Who holds a slot; undefined for nobody. */
function holderOf(path: string): ProcessId | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessId;
  } catch {
    return undefined;
  }
}

function waitSentence(paths: readonly string[]): string {
  const holders = paths.flatMap((path) => holderOf(path) ?? []).map(({ pid }) => `process ${pid} (${commandOf(pid)})`);
  return `waiting for a slot: ${paths.length} lab${paths.length === 1 ? "" : "s"} at a time run${paths.length === 1 ? "s" : ""} on this machine; held by ${holders.join(" and ") || "one that just ended"}`;
}

/** What a process runs, without the interpreter and its options. */
function commandOf(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return (
      words
        .slice(1)
        .filter((word) => word !== "" && !word.startsWith("-"))
        .join(" ") || words[0]!
    );
  } catch {
    return "it just ended";
  }
}
