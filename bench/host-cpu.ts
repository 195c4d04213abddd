/** CPU time of guests on the host: what the wall clock of a busy machine hides. */
import { readFileSync } from "node:fs";
import { readRunState } from "../lab/guest/run-state.ts";
import { labPaths } from "../lab/state.ts";
import type { World } from "../lab/world/world.ts";

/** Unit of /proc/PID/stat (USER_HZ), the same on every Linux that Node.js runs on. */
const TICKS = 100;

/** utime, stime, cutime and cstime among what follows the name in /proc/PID/stat, in ticks. */
export function ticksOf(fields: string): number {
  return fields
    .split(" ")
    .slice(11, 15)
    .reduce((sum, field) => sum + Number(field), 0);
}

/** CPU seconds of a guest's main process (its kernel; an emulated guest's everything) since it was powered on. */
export function guestCpuSeconds(world: World, name: string): number {
  const { process } = readRunState(labPaths(world.lab.id).runState(name));
  if (process === undefined) throw new Error(`guest ${name} has no power`);
  return ticksOf(readFileSync(`/proc/${process.pid}/stat`, "utf8").replace(/^.*\) /s, "")) / TICKS;
}
