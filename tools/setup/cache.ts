/**
 * The artefact cache: what is expensive to build is built once per version and recipe, outside the tree.
 * Directories are complete or absent: they are built beside their place and renamed into it.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { say, withProgress } from "./progress.ts";

/** One thing the cache can hold. */
export interface Artefact {
  /** Short name; with `version` and the recipe's hash it makes the directory's name. */
  readonly name: string;
  readonly version: string;
  /** Everything the result depends on (texts of recipe files, package lists, versions); hashed into the key. */
  readonly recipe: readonly string[];
  /** For progress lines: "kernel 6.12 for process guests: building". */
  readonly describe: string;
  /** For progress lines: "5 min". */
  readonly expected: string;
  /** Makes the artefact inside an empty directory. */
  build(dir: string): Promise<void>;
}

/** The cache's root: $MESHSTOR_CACHE, else $XDG_CACHE_HOME/meshstor, else ~/.cache/meshstor. */
export function cacheRoot(): string {
  const own = process.env["MESHSTOR_CACHE"];
  if (own !== undefined && own !== "") return own;
  const xdg = process.env["XDG_CACHE_HOME"];
  return join(xdg !== undefined && xdg !== "" ? xdg : join(homedir(), ".cache"), "meshstor");
}

/** The directory an artefact has (or will have) in the cache. */
export function artefactDir(artefact: Pick<Artefact, "name" | "version" | "recipe">): string {
  const hash = createHash("sha256").update(artefact.recipe.join("\0")).digest("hex").slice(0, 12);
  return join(cacheRoot(), `${artefact.name}-${artefact.version}-${hash}`);
}

/** Returns the artefact's directory, building it first when it is not there; concurrent callers build it once. */
export async function ensureArtefact(artefact: Artefact): Promise<string> {
  const dir = artefactDir(artefact);
  if (existsSync(dir)) return dir;
  mkdirSync(cacheRoot(), { recursive: true });
  return withLock(`${dir}.lock`, async () => {
    if (existsSync(dir)) return dir;
    const building = `${dir}.building`;
    rmSync(building, { recursive: true, force: true });
    mkdirSync(building);
    await withProgress(artefact.describe, artefact.expected, () => artefact.build(building));
    renameSync(building, dir);
    return dir;
  });
}

/** Runs a step while holding a lock file; a lock whose owner no longer lives is taken over. */
export async function withLock<T>(path: string, step: () => Promise<T>): Promise<T> {
  for (let waited = 0; !tryLock(path); waited++) {
    if (waited % 30 === 0) say(`waiting for another process that holds ${basename(path)}`);
    await sleep(500);
  }
  try {
    return await step();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLock(path: string): boolean {
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  if (!ownerLives(path)) rmSync(path, { force: true });
  return false;
}

function ownerLives(path: string): boolean {
  try {
    const text = readFileSync(path, "utf8").trim();
    // An empty file is a lock between its creation and its content.
    return text === "" || existsSync(`/proc/${text}`);
  } catch {
    return false;
  }
}
