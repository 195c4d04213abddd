/** For programs that must live inside a lab's network namespace (most need not: see LabNetwork.expose and connect). */
import { spawnSync } from "node:child_process";
import { readlinkSync, statSync } from "node:fs";
import { inNamespace, namespaceOf } from "./net/namespace.ts";

/** Re-executes this program inside the lab's namespace unless it runs there already; returns only inside. */
export function ensureInNetns(labId: string): void {
  if (isInside(labId)) return;
  const [program = "", ...args] = inNamespace(labId, [process.execPath, ...process.execArgv, ...process.argv.slice(1)]);
  const { status, error } = spawnSync(program, args, { stdio: "inherit" });
  if (error !== undefined) throw error;
  process.exit(status ?? 1);
}

function isInside(labId: string): boolean {
  const own = /\[(\d+)\]/.exec(readlinkSync("/proc/self/ns/net"))?.[1];
  return own === String(statSync(`/run/netns/${namespaceOf(labId)}`).ino);
}
