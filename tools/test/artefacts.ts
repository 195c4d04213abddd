/** Where a run keeps what helps to understand a failure: artefacts/<time>/<scenario>/, outside version control. */
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./command.ts";

const KEPT_RUNS = 5;

/** The folder of this run; the oldest ones of earlier runs go. */
export function newArtefactFolder(now: Date): string {
  const all = join(ROOT, "artefacts");
  const old = existsSync(all)
    ? readdirSync(all)
        .filter((name) => /^\d{8}T\d{6}/.test(name))
        .toSorted()
    : [];
  for (const name of old.slice(0, Math.max(0, old.length - KEPT_RUNS + 1))) rmSync(join(all, name), { recursive: true, force: true });
  const time = now.toISOString().replaceAll(/[-:]|\.\d+Z/g, "");
  return join(all, `${time}-${process.pid}`);
}

/** Removes the folder if nothing was kept in it. */
export function dropIfEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}
