/**
 * Processes of the host as /proc shows them. Names and states never wait; a command line needs the process's address space,
 * which one with held I/O may keep locked, so it is read of processes of a known name only.
 */
import { listDir, readAttribute, readText, ROOTS } from "../files.ts";

/** Pids, ascending. */
export async function pids(): Promise<number[]> {
  return (await listDir(ROOTS.proc))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Command lines of the processes of this name (proc_pid_comm(5)); those that end meanwhile are left out. */
export async function commandLines(name: string): Promise<{ pid: number; argv: string[] }[]> {
  const all = await Promise.all((await pids()).map(async (pid) => ({ pid, comm: await readAttribute(`${ROOTS.proc}/${pid}/comm`).catch(() => null) })));
  const named = all.filter(({ comm }) => comm === name);
  const found = await Promise.all(named.map(async ({ pid }) => ({ pid, argv: parseCommandLine(await readText(`${ROOTS.proc}/${pid}/cmdline`).catch(() => "")) })));
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

/** Every thread of a process is gone or has SIGKILL pending (Z15). */
export async function isDead(pid: number): Promise<boolean> {
  const tasks = await listDir(`${ROOTS.proc}/${pid}/task`).catch(() => []);
  const states = await Promise.all(tasks.map((tid) => readText(`${ROOTS.proc}/${pid}/task/${tid}/status`).catch(() => null)));
  return states.every((status) => status === null || isDying(status));
}
