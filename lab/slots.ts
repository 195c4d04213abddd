/**
 * Labs that run side by side: a machine bears about one for each of its cores, more only make each other
 * slow. A lab of a test takes a slot and waits for one; detached labs (somebody plays with them) do not.
 */
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { identify, isAlive, type ProcessId } from "./guest/run-state.ts";
import { labsDir } from "./state.ts";

const LOOK_AGAIN_MS = 500;

/** Number of labs at a time: $MESHSTOR_LABS_AT_ONCE, else one for each core, at least one. */
function slots(): number {
  return Math.max(1, Number(process.env["MESHSTOR_LABS_AT_ONCE"] ?? availableParallelism()));
}

/** Takes a slot, waiting for one as long as it takes; freed by the returned function, and when this process is gone. */
export async function takeSlot(): Promise<() => void> {
  const dir = `${labsDir()}-slots`;
  mkdirSync(dir, { recursive: true });
  for (;;) {
    for (let slot = 0; slot < slots(); slot += 1) {
      const path = join(dir, String(slot));
      if (tryTake(path)) return () => rmSync(path, { force: true });
    }
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
  try {
    return !isAlive(JSON.parse(readFileSync(path, "utf8")) as ProcessId);
  } catch {
    return false;
  }
}
