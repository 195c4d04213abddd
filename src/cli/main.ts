#!/usr/bin/env node
/** `kubectl meshstor …`: the command line. Loads neither the node role nor the controller. */
import { stdin, stdout } from "node:process";
import { createInterface } from "node:readline/promises";
import { CommanderError } from "commander";
import { asMeshStorError, ERRORS } from "../base/errors.ts";
import { createKubeClient, type KubeClient } from "../kube/client.ts";
import { loadKubeConfig } from "../kube/config.ts";
import type { Context, Terminal } from "./context.ts";
import type { Connection } from "./program.ts";
import { buildProgram } from "./program.ts";

const clients: KubeClient[] = [];

const terminal: Terminal = {
  out: (text) => void stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isTerminal: stdout.isTTY,
  columns: stdout.columns ?? 80,
  ask: async (question) => {
    if (!stdin.isTTY) return null;
    const lines = createInterface({ input: stdin, output: stdout });
    try {
      return await lines.question(question);
    } finally {
      lines.close();
    }
  },
};

function connect({ kubeconfig, context }: Connection): Context {
  const client = createKubeClient(loadKubeConfig({ path: kubeconfig, context }));
  clients.push(client);
  return { client, terminal, now: () => Date.now() };
}

/** A wrong word is told by commander itself; its exit code is the table's. */
function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : ERRORS.BadArgument.exit;
  const error = asMeshStorError(thrown);
  terminal.err(`kubectl-meshstor: ${error.message}\n${error.row.hint}\n`);
  return error.row.exit;
}

// Whoever reads may have seen enough: `list | head`.
stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : ERRORS.Internal.exit));
const program = buildProgram(connect);
for (const command of [program, ...program.commands]) command.exitOverride();
try {
  await program.parseAsync();
  process.exitCode = 0;
} catch (thrown) {
  process.exitCode = exitCodeOf(thrown);
}
for (const client of clients) client.close();
