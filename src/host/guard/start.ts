/** Sees to it that one guard of this program's version runs, and hands a former one's volumes over to it. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { asMeshStorError, MeshStorError } from "../../base/errors.ts";
import { stretched } from "../../base/time-scale.ts";
import { pidsNamed } from "../fence/processes.ts";
import { poll, ROOTS } from "../files.ts";
import { askGuard, GUARD_SOCKET } from "./client.ts";
import type { GuardEntry } from "./protocol.ts";
import { armRequest, expectOK, parseEntries, parseHello } from "./protocol.ts";
import { GUARD_PROGRAM } from "./program.ts";

/** A guard of another text is replaced: after an update of this program, its own follows. */
export const GUARD_VERSION = createHash("sha256").update(GUARD_PROGRAM).digest("hex").slice(0, 16);
const START_MS = stretched(10_000);
const END_MS = stretched(5_000);

let starting: Promise<void> | null = null;

/** A guard of this version runs when this ends; two callers start one. @throws MeshStorError HostUnsuitable, with the guard's own sentence */
export function ensureGuard(name = GUARD_SOCKET, sys = ROOTS.sys): Promise<void> {
  return (starting ??= ensure(name, sys).finally(() => {
    starting = null;
  }));
}

async function ensure(name: string, sys: string): Promise<void> {
  const there = await helloOf(name);
  if (there?.version === GUARD_VERSION) return;
  if (there) await rehearse(name, sys);
  const entries = there ? await takeFrom(name) : [];
  await start(name, sys);
  // What cannot be armed again, because its device is gone, is not there to be guarded.
  for (const entry of entries.filter((e) => e.connections.length > 0)) await askGuard(armRequest(entry), name);
}

/** One that does not answer watches nothing: it is ended, and another one starts. One that hangs up is on its way out. */
async function helloOf(name: string): Promise<{ version: string; pid: number } | null> {
  const lines = await askGuard("hello", name).catch(async (error: unknown) => {
    if (asMeshStorError(error).code === "CommandTimedOut" && name === GUARD_SOCKET) for (const pid of await pidsNamed("@meshstor-guard")) process.kill(pid, "SIGKILL");
    return hasEnded(name);
  });
  return lines === null ? null : (parseHello(lines) ?? { version: "unknown", pid: 0 });
}

/** Waits until nobody has the name. */
async function hasEnded(name: string): Promise<null> {
  const ended = await poll(END_MS, 20, async () => ((await askGuard("hello", name).catch(() => [])) === null ? true : null));
  if (!ended) throw new MeshStorError("CommandTimedOut", "a guard that shall be replaced does not end");
  return null;
}

/** The one that runs is not given up for one that cannot start on this host. */
async function rehearse(name: string, sys: string): Promise<void> {
  const trial = `${name}-trial`;
  await start(trial, sys);
  await askGuard("quit", trial).catch(() => null); // It hangs up instead of an answer.
}

/** Suspends in force have a process of their own each, and stay. */
async function takeFrom(name: string): Promise<GuardEntry[]> {
  const entries = parseEntries((await askGuard("list", name)) ?? []);
  await askGuard("quit", name).catch(() => null); // It hangs up instead of an answer.
  await hasEnded(name);
  return entries;
}

/** In a session of its own; it leaves the container's mount namespace and control group by itself, before it says `ready`. */
function start(name: string, sys: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("perl", ["-e", GUARD_PROGRAM, GUARD_VERSION, name, sys], {
      detached: true,
      stdio: ["ignore", "pipe", "ignore"],
      env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C" },
    });
    let said = "";
    const end = (error: string | null) => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.unref();
      if (error === null) return resolve();
      child.kill("SIGKILL");
      reject(new MeshStorError("HostUnsuitable", `the guard cannot be started, and without it no volume may be used: ${error}`));
    };
    const timer = setTimeout(() => end(`it did not get ready within ${START_MS} ms`), START_MS);
    child.on("error", (error) => end(error.message));
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said === "ready\n") end(null);
    });
    child.stdout.on("end", () => end(said.trim() || "it ended at once"));
  });
}

/** Tells the guard, which is started if there is none. */
export async function tellGuard(request: string, what: string): Promise<void> {
  await ensureGuard();
  expectOK((await askGuard(request)) ?? [], what);
}
