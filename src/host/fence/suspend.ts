/**
 * Suspending and resuming a volume device (I10, Z14, E25). A suspend above a held request does not return, and blocks new
 * I/O only as long as its process lives: it runs detached, without a deadline, and is found again by its command line.
 */
import { spawn } from "node:child_process";
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { dmByName, sysBlock } from "../block.ts";
import { runOk } from "../exec.ts";
import { poll, readAttribute } from "../files.ts";
import { suspendByGuard } from "../guard/arm.ts";
import { commandLines } from "./processes.ts";

type Action<K extends HostAction["kind"]> = Extract<HostAction, { kind: K }>;

const DEADLINE_MS = 15_000;
/** A suspend that has not ended after this waits for held requests; what comes after it waits behind. */
const SETTLE_MS = 300;
/** A busy host gets this long to begin it. */
const BEGIN_MS = 5_000;

/** The command of a suspend, as it also stands in /proc. Always --noflush: a flush would wait for what is held. */
export function suspendCommand(name: string): string[] {
  return ["dmsetup", "suspend", "--noflush", "--noudevsync", name];
}

/** Name of a process of the guard's that waits in a suspend, as the kernel has it (proc_pid_comm(5)); its title goes on with the device's. */
const HOLD = "@meshstor-hold";

/** True if this is the command line of a suspend of the device: our command's, or a title of the guard's (guard/program.ts). */
export function isSuspendOf(argv: readonly string[], name: string): boolean {
  if (argv[0] === `${HOLD} ${name}`) return true;
  const wanted = suspendCommand(name);
  const [program = ""] = argv;
  return argv.length === wanted.length && (program === "dmsetup" || program.endsWith("/dmsetup")) && wanted.every((word, i) => i === 0 || word === argv[i]);
}

export async function suspendVolume(action: Action<"SuspendVolume">): Promise<void> {
  if (await isSuspended(action.name)) return;
  if ((await waitingSuspends(action.name)).length > 0) return;
  // By the guard, whose processes outlive the pod; where there is none, better here than not at all.
  await suspendByGuard(action.name).catch(() => suspendHere(action.name));
  const asked = performance.now();
  const begun = async () => (await isSuspended(action.name)) || (performance.now() - asked > SETTLE_MS && (await waitingSuspends(action.name)).length > 0);
  const done = await poll(BEGIN_MS, 50, async () => ((await begun()) ? true : null));
  if (!done) throw new MeshStorError("CommandFailed", `device ${action.name} cannot be suspended`);
}

function suspendHere(name: string): void {
  const [program, ...args] = suspendCommand(name);
  const child = spawn(program!, args, { detached: true, stdio: "ignore" });
  child.on("error", () => {}); // Seen by the caller: neither suspended nor waiting.
  child.unref();
}

/** @throws MeshStorError Unsafe when the proof is too old: asked last thing before the act (I10). */
function assertProven(name: string, notAfterMs: number | null): void {
  if (notAfterMs !== null && performance.now() > notAfterMs) throw new MeshStorError("Unsafe", `device ${name} does not go on: the proof that this node owns it is too old`);
}

/**
 * Before a new table, which comes with a resume: that would end any suspend, also one that somebody has begun since this was
 * decided. @throws MeshStorError Unsafe
 */
export async function assertMayGoOn(name: string, notAfterMs: number | null): Promise<void> {
  if ((await waitingSuspends(name)).length > 0 || (await isSuspended(name))) throw new MeshStorError("Unsafe", `device ${name} is suspended: it keeps its table`);
  assertProven(name, notAfterMs);
}

export async function resumeVolume(action: Action<"ResumeVolume">): Promise<void> {
  const waiting = await waitingSuspends(action.name);
  assertProven(action.name, action.notAfterMs);
  for (const pid of waiting) process.kill(pid, "SIGKILL");
  const ended = await poll(5_000, 50, async () => ((await waitingSuspends(action.name)).length === 0 ? true : null));
  if (!ended) throw new MeshStorError("CommandTimedOut", `a suspend of ${action.name} does not end`);
  if (await isSuspended(action.name)) await runOk(["dmsetup", "resume", "--noudevsync", action.name], { deadlineMs: DEADLINE_MS, lane: action.name, releases: true });
}

async function isSuspended(name: string): Promise<boolean> {
  const device = await dmByName(name);
  return device !== null && (await readAttribute(`${sysBlock(device)}/dm/suspended`)) === "1";
}

/** Processes that wait in a suspend of this device. */
async function waitingSuspends(name: string): Promise<number[]> {
  return (await commandLines("dmsetup", HOLD)).filter(({ argv }) => isSuspendOf(argv, name)).map(({ pid }) => pid);
}

/** How old the last look for waiting suspends may be, in ms: it reads the name of every process. */
const LOOK_MS = 1_000;
let looked: { atMs: number; lines: Promise<{ argv: string[] }[]> } | null = null;

/** True if a suspend of the device waits for requests that are held (Z14). */
export async function isSuspending(name: string): Promise<boolean> {
  if (looked === null || performance.now() - looked.atMs > LOOK_MS) looked = { atMs: performance.now(), lines: commandLines("dmsetup", HOLD) };
  return (await looked.lines).some(({ argv }) => isSuspendOf(argv, name));
}
