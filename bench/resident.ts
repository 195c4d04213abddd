/** Resident memory of our programs. */
import { readFileSync } from "node:fs";
import type { World } from "../lab/world/world.ts";

/** What either of them stays below, MB. */
export const RSS_GOAL_MB = 150;

/** Prints the process id of a guest's node program. */
export const FIND_NODE_PROGRAM = "pgrep -o -f '[m]eshstor.mjs node'";

/** Resident memory in MB, from a process's `status` in /proc (proc_pid_status(5)). Pure. */
export function residentMB(status: string): number {
  return (Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024) / 1e6;
}

/** Resident memory of the controller now, in MB. */
export function controllerMB(world: World): number {
  return residentMB(readFileSync(`/proc/${world.controller.pid}/status`, "utf8"));
}
