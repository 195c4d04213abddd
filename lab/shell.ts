/** A terminal in a guest. */
import type { Lab } from "./cluster.ts";
import { attachInGuest } from "./guest/exec-client.ts";

/** Runs a command, or a login shell, in a guest with this process's own terminal; returns the exit code. */
export async function openShell(lab: Lab, name: string, command: readonly string[]): Promise<number> {
  if (lab.guest(name).state !== "on") throw new Error(`${name} is ${lab.guest(name).state}`);
  const terminal = command.length === 0 && process.stdin.isTTY;
  const argv = command.length > 0 ? command : terminal ? ["script", "-qefc", terminalCommand(), "/dev/null"] : ["bash", "-l"];
  if (terminal) process.stdin.setRawMode(true);
  try {
    const env = { TERM: process.env["TERM"] ?? "linux", PS1: `root@${name}:\\w# ` };
    const streams = { input: process.stdin, output: process.stdout, error: process.stderr };
    const { code, signal } = await attachInGuest(lab.connector(name), argv, env, streams);
    if (signal !== null) process.stderr.write(`lab: ended by ${signal}\n`);
    return code ?? 1;
  } finally {
    if (terminal) process.stdin.setRawMode(false);
    process.stdin.destroy();
  }
}

function terminalCommand(): string {
  const { rows, columns } = process.stdout.isTTY ? process.stdout : { rows: 24, columns: 80 };
  return `stty rows ${rows} cols ${columns}; exec bash`;
}
