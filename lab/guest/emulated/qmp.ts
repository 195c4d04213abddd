/** A client of QEMU's monitor protocol: one connection per conversation, because QEMU serves one at a time. */
import { connect, type Socket } from "node:net";

/** An order for QEMU. */
export interface QmpCommand {
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

interface QmpMessage {
  readonly QMP?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly event?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Options of {@link qmp}. */
export interface QmpOptions {
  /** After the last order's answer, wait for this event with these data. */
  readonly until?: { readonly event: string; readonly data: Readonly<Record<string, unknown>> };
  readonly timeoutMs?: number;
}

/** Gives QEMU orders one after the other and returns their answers; throws QEMU's words for one it refuses. */
export async function qmp(socketPath: string, commands: readonly QmpCommand[], options: QmpOptions = {}): Promise<unknown[]> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const socket = connect(socketPath);
  const timer = setTimeout(() => socket.destroy(new Error(`QEMU does not answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    return await converse(socket, commands, options.until);
  } catch (error) {
    const names = commands.map((command) => command.execute).join(", ");
    throw new Error(`QMP ${names}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

async function converse(socket: Socket, commands: readonly QmpCommand[], until: QmpOptions["until"]): Promise<unknown[]> {
  const answers: unknown[] = [];
  const pending = [{ execute: "qmp_capabilities" }, ...commands];
  let seen = until === undefined;
  const send = (): void => {
    const next = pending.shift();
    if (next !== undefined) socket.write(`${JSON.stringify(next)}\n`);
  };
  for await (const message of messagesOf(socket)) {
    if (message.error !== undefined) throw new Error(message.error.desc);
    if (message.event !== undefined) seen ||= matches(message, until);
    else {
      if (message.return !== undefined) answers.push(message.return);
      send();
    }
    if (seen && answers.length === commands.length + 1) return answers.slice(1);
  }
  throw new Error("QEMU closed the connection");
}

function matches(message: QmpMessage, until: QmpOptions["until"]): boolean {
  return until !== undefined && message.event === until.event && Object.entries(until.data).every(([key, value]) => message.data?.[key] === value);
}

async function* messagesOf(socket: Socket): AsyncGenerator<QmpMessage> {
  let text = "";
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    text += chunk.toString();
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as QmpMessage;
  }
}
