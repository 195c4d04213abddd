/**
 * Processes of the host as /proc shows them. Names and states never wait; a command line needs the process's address space,
 * which one with held I/O may keep locked, so it is read of processes of a known name only.
 */
import { isAbsent, listDir, readAttribute, readText, ROOTS } from "../files.ts";
import { isExiting } from "../users/parse.ts";

/** Pids, ascending. */
export async function pids(): Promise<number[]> {
  return (await listDir(ROOTS.proc))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Processes of these names (proc_pid_comm(5)). */
export async function pidsNamed(...names: string[]): Promise<number[]> {
  const all = await Promise.all((await pids()).map(async (pid) => ({ pid, comm: await readAttribute(`${ROOTS.proc}/${pid}/comm`).catch(() => null) })));
  return all.filter(({ comm }) => comm !== null && names.includes(comm)).map(({ pid }) => pid);
}

/** Command lines of the processes of these names; those that end meanwhile are left out. */
export async function commandLines(...names: string[]): Promise<{ pid: number; argv: string[] }[]> {
  const found = await Promise.all(
    (await pidsNamed(...names)).map(async (pid) => ({ pid, argv: parseCommandLine(await readText(`${ROOTS.proc}/${pid}/cmdline`).catch(() => "")) })),
  );
  return found.filter(({ argv }) => argv.length > 0);
}

/** Words end with a NUL each (proc_pid_cmdline(5)). */
export function parseCommandLine(text: string): string[] {
  return text === "" ? [] : text.replace(/\0$/, "").split("\0");
}

/** SIGKILL is pending for the thread or its process, or it is gone as a zombie (proc_pid_status(5): SigPnd, ShdPnd, State). */
export function isDying(status: string): boolean {
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
  const killed = (mask: string): boolean => /^[0-9a-f]+$/.test(mask) && (BigInt(`0x${mask}`) & (1n << 8n)) !== 0n;
  return ["Z", "X"].includes(field("State")) || killed(field("SigPnd")) || killed(field("ShdPnd"));
}

/**
 * No thread of a process returns to its program (Z15): gone, SIGKILL pending, or on its way out. A thread that has taken its
 * SIGKILL no longer shows it as pending, and may still wait in D state while its files are closed (signal.c, get_signal).
 */
export async function isDead(pid: number): Promise<boolean> {
  const tasks = await listDir(`${ROOTS.proc}/${pid}/task`).catch((error: unknown) => gone(error) ?? []);
  const dying = await Promise.all(
    tasks.map(async (tid) => {
      const at = `${ROOTS.proc}/${pid}/task/${tid}`;
      const [status, stat] = await Promise.all([readText(`${at}/status`).catch(gone), readText(`${at}/stat`).catch(gone)]);
      return status === null || stat === null || isDying(status) || isExiting(stat);
    }),
  );
  return dying.every(Boolean);
}

/** Null if it has ended meanwhile; what does not answer proves nothing. */
function gone(error: unknown): null {
  if (isAbsent(error) || (error as NodeJS.ErrnoException).code === "ESRCH") return null;
  throw error;
}
