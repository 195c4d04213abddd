/** Takes labs down, also those of processes that died without doing it. */
import { rmSync, statSync } from "node:fs";
import { destroyNamespaceSync, namespacesOnMachine } from "./net/namespace.ts";
import { isOrphan, labDir, labIds, readRecord } from "./state.ts";

/** A directory without a record younger than this may be a lab that is just being made. */
const GRACE_MS = 60_000;

/** Ends everything a lab runs and removes what it holds; synchronous, so that it works while a process exits. */
export function destroyLabSync(id: string): void {
  destroyNamespaceSync(id);
  rmSync(labDir(id), { recursive: true, force: true });
}

/** Takes down every lab whose owner died; returns their ids. */
export async function sweepLabs(): Promise<string[]> {
  const dead = labIds().filter((id) => {
    const record = readRecord(id);
    return record === undefined ? ageOf(id) > GRACE_MS : isOrphan(record);
  });
  for (const id of dead) destroyLabSync(id);
  return dead;
}

/** Namespaces of labs that have no directory here; they may belong to another state directory, so they are only named. */
export async function strayNamespaces(): Promise<string[]> {
  const known = new Set(labIds());
  return (await namespacesOnMachine()).filter((id) => !known.has(id));
}

function ageOf(id: string): number {
  try {
    return Date.now() - statSync(labDir(id)).mtimeMs;
  } catch {
    return 0;
  }
}
