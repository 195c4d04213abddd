/** Who keeps a mount busy: processes with their root, working directory or an open file below it. */
import { listDir, readAttribute, readLink, ROOTS } from "../files.ts";

/** At most this many are named. */
const LIMIT = 5;

/** `name (pid)` of processes that use something at or below `target`. Only links in /proc are read, which never waits for the filesystem. */
export async function usersOf(target: string): Promise<string[]> {
  const users: string[] = [];
  for (const pid of (await listDir(ROOTS.proc)).filter((p) => /^\d+$/.test(p))) {
    if (users.length >= LIMIT) break;
    if (await uses(pid, target)) users.push(`${(await readAttribute(`${ROOTS.proc}/${pid}/comm`)) ?? "?"} (${pid})`);
  }
  return users;
}

async function uses(pid: string, target: string): Promise<boolean> {
  const at = `${ROOTS.proc}/${pid}`;
  const files = await listDir(`${at}/fd`).catch(() => []);
  const links = await Promise.all([`${at}/cwd`, `${at}/root`, ...files.map((f) => `${at}/fd/${f}`)].map((path) => readLink(path).catch(() => null)));
  return links.some((link) => link === target || link?.startsWith(`${target}/`));
}
