/**
 * Kills every process that uses a volume, and proves it (I4, Z15). With held writes its users are in D state: they end when the
 * writes do. So "killed" means gone, or that no thread can return to its program: SIGKILL pending, or on its way out.
 */
import type { HostAction } from "../../core/action.ts";
import { MeshStorError } from "../../base/errors.ts";
import { stretched } from "../../base/time-scale.ts";
import { dmByName, numberOf } from "../block.ts";
import { isDead, pidsNamed } from "../fence/processes.ts";
import { parseMountinfo } from "../mount/mountinfo.ts";
import { poll, readLink, readText, ROOTS } from "../files.ts";
import type { UserProcess } from "./find.ts";
import { findUsers } from "./find.ts";
import { kernelUsers } from "./kernel-users.ts";
import { loopLocksOn } from "./locks.ts";

/** In all; a process that starts others while it dies is found again. */
const DEADLINE_MS = stretched(30_000);
/** From the signal to its being pending on every thread: it is, when kill(2) returns, unless a thread starts another. */
const PENDING_MS = stretched(2_000);
/** Processes of the guard (guard/program.ts): what they read goes nowhere. */
const GUARDS = ["@meshstor-guard", "@meshstor-hold", "@meshstor-probe"];
/** Inode number of the first process id namespace (linux/proc_ns.h, PROC_PID_INIT_INO). */
const HOST_PIDS = "pid:[4026531836]";

/** Done when a search finds no user that can still run. @throws MeshStorError VolumeInUse (kernel users, named), Unsafe, CommandTimedOut */
export async function killUsers(action: Extract<HostAction, { kind: "KillUsers" }>): Promise<void> {
  const device = await dmByName(action.name);
  const number = device === null ? null : await numberOf(device);
  if (device === null || number === null) return;
  if ((await readLink(`${ROOTS.proc}/self/ns/pid`)) !== HOST_PIDS)
    throw new MeshStorError("HostUnsuitable", `the users of ${action.name} cannot be seen: the node program does not run with the host's process ids (hostPID)`);
  const mounts = parseMountinfo(await readText(`${ROOTS.proc}/self/mountinfo`)).filter((m) => m.device === number);
  const targets = [...new Set([...action.targets, ...mounts.map((m) => m.target)])];
  const kernel = await kernelUsers({ device, name: action.name, number, targets });
  if (kernel.length > 0) throw new MeshStorError("VolumeInUse", `${action.name} is used by the kernel, which cannot be killed: ${kernel.join(", ")}; undo that by hand`);
  // Whoever has kubelet's lock open reaches the volume as well.
  const numbers = [number, ...(await loopLocksOn({ device, name: action.name, number })).map((lock) => lock.number)];
  const end = performance.now() + DEADLINE_MS;
  for (;;) {
    const alive = await aliveOf(await withinTime(findAll(numbers, targets), end, action.name));
    if (alive.length === 0) return;
    const spared = alive.filter((u) => u.pid === 1 || u.pid === process.pid);
    if (spared.length > 0) throw new MeshStorError("Unsafe", `${action.name} is used by ${named(spared)}, which is not killed; undo that by hand`);
    for (const user of alive) kill(user.pid);
    const doomed = await poll(PENDING_MS, 20, async () => ((await aliveOf(alive)).length === 0 ? true : null));
    if (performance.now() > end) throw new MeshStorError("CommandTimedOut", `users of ${action.name} ${doomed ? "come again and again" : "cannot be killed"}: ${named(alive)}`);
  }
}

async function findAll(numbers: readonly string[], targets: readonly string[]): Promise<UserProcess[]> {
  return (await Promise.all(numbers.map((number) => findUsers(number, targets)))).flat();
}

/** Each reading has its own deadline; many that hang would still add up. */
function withinTime<T>(search: Promise<T>, end: number, name: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new MeshStorError("CommandTimedOut", `the users of ${name} cannot be found in time: too many processes of this machine do not answer`));
    const timer = setTimeout(late, Math.max(0, end - performance.now()));
    void search.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

async function aliveOf(users: readonly UserProcess[]): Promise<UserProcess[]> {
  const guards = new Set(users.length > 0 ? await guardPids() : []);
  const dead = await Promise.all(users.map((u) => isDead(u.pid)));
  return users.filter((u, i) => !dead[i] && !guards.has(u.pid));
}

/** A name alone proves nothing: the guard's processes are in the host's mount namespace, and no pod's are. */
async function guardPids(): Promise<number[]> {
  const space = (pid: number): Promise<string | null> => readLink(`${ROOTS.proc}/${pid}/ns/mnt`).catch(() => null);
  const [host, named] = await Promise.all([space(1), pidsNamed(...GUARDS)]);
  const spaces = await Promise.all(named.map(space));
  return named.filter((_, i) => host !== null && spaces[i] === host);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function named(users: readonly UserProcess[]): string {
  const first = users.slice(0, 5).map((u) => `${u.name} (${u.pid}, ${u.by})`);
  return users.length > 5 ? `${first.join(", ")} and ${users.length - 5} more` : first.join(", ");
}
