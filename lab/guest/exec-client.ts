/** The host's end of the exec channel, over whatever connects to a guest's exec daemon. */
import type { Socket } from "node:net";
import type { ExecOptions, ExecResult } from "./guest.ts";
import { FRAME, frame, Reader, type Exited, type Request } from "./wire.ts";

/** Opens a connection to a guest's exec daemon; rejects while there is none. */
export type Connect = () => Promise<Socket>;

/** The guest's connection ended before the answer: it lost power, crashed, or its daemon died. */
export class GuestGoneError extends Error {}

/** A program in the guest that could not be started, or a file operation that failed there. */
export class GuestOperationError extends Error {}

/** A program that ended with a code that its caller did not expect. */
export class GuestExitError extends Error {
  readonly result: ExecResult;
  constructor(message: string, result: ExecResult) {
    super(message);
    this.result = result;
  }
}

/** Called for every frame of an answer; returns true when the answer is complete. */
type OnFrame = (type: number, payload: Buffer) => boolean;

/** Sends a request and hands every frame of the answer to `onFrame`, until that returns true. */
async function converse(connect: Connect, request: Request, onFrame: OnFrame, onSocket?: (socket: Socket) => void): Promise<void> {
  const socket = await connect();
  await new Promise<void>((resolve, reject) => {
    let done = false;
    const end = (error?: Error): void => {
      if (done) return;
      done = true;
      socket.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    socket.on("error", (error) => end(new GuestGoneError(`connection to the guest broke: ${error.message}`)));
    // The relay's sockets are half open: a machine that is gone shows as the end of what can be read, and never as a close.
    for (const gone of ["end", "close"]) socket.on(gone, () => end(new GuestGoneError("connection to the guest ended before the answer")));
    new Reader(socket).frames((type, payload) => {
      if (type === FRAME.failed) end(new GuestOperationError(payload.toString()));
      else if (onFrame(type, payload)) end();
      return done;
    });
    socket.write(`${JSON.stringify(request)}\n`);
    onSocket?.(socket);
  });
}

/** Runs a program in the guest to its end. */
export async function execInGuest(connect: Connect, argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const start = performance.now();
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let exited: Exited | undefined;
  const timeoutMs = options.timeoutMs ?? 60_000;
  let timer: NodeJS.Timeout | undefined;
  let timedOut = false;
  const onFrame: OnFrame = (type, payload) => {
    if (type === FRAME.stdout) out.push(Buffer.from(payload));
    else if (type === FRAME.stderr) err.push(Buffer.from(payload));
    else if (type === FRAME.exited) exited = JSON.parse(payload.toString()) as Exited;
    return exited !== undefined;
  };
  const onSocket = (socket: Socket): void => {
    sendInput(socket, options.stdin);
    timer = setTimeout(() => {
      timedOut = true;
      // Closing the connection makes the daemon kill the whole group, even one stuck in D state later.
      socket.destroy();
    }, timeoutMs);
  };
  try {
    await converse(connect, { op: "exec", argv, env: options.env ?? {} }, onFrame, onSocket);
  } catch (error) {
    if (timedOut) throw new GuestOperationError(`${describe(argv)}: no end within ${timeoutMs} ms${tail(out, err)}`);
    if (error instanceof Error) error.message = `${describe(argv)}: ${error.message}${tail(out, err)}`;
    throw error;
  } finally {
    clearTimeout(timer);
  }
  const result: ExecResult = {
    code: exited?.code ?? null,
    signal: exited?.signal ?? null,
    stdout: Buffer.concat(out).toString(),
    stderr: Buffer.concat(err).toString(),
    durationMs: performance.now() - start,
  };
  const ok = options.okCodes ?? [0];
  if (ok === "any" || (result.code !== null && ok.includes(result.code))) return result;
  throw new GuestExitError(`${describe(argv)}: ended with ${result.signal ?? result.code}${tail(out, err)}`, result);
}

/** A program started in the guest. */
export interface Started {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<Exited>;
}

/** Longest wait for the start of a program: a machine that has just gone may leave its connection open. */
const START_MS = 120_000;

/** Starts a program and returns once it runs; its output goes to `onOutput` as long as the connection lives. */
export function spawnInGuest(connect: Connect, argv: readonly string[], env: Readonly<Record<string, string>>, onOutput: (chunk: Buffer) => void): Promise<Started> {
  return new Promise((resolve, reject) => {
    let socket: Socket | undefined;
    let last: Exited = { code: null, signal: "POWER" };
    const ended = Promise.withResolvers<Exited>();
    const timer = setTimeout(() => {
      reject(new GuestOperationError(`${describe(argv)}: not started within ${START_MS} ms`));
      socket?.destroy();
    }, START_MS);
    const kill = (signal: NodeJS.Signals): void => void (socket?.writable === true && socket.write(frame(FRAME.signal, signal)));
    const onFrame: OnFrame = (type, payload) => {
      if (type === FRAME.started) {
        clearTimeout(timer);
        resolve({ pid: Number(payload.toString()), kill, exited: ended.promise });
      } else if (type === FRAME.exited) last = JSON.parse(payload.toString()) as Exited;
      else onOutput(Buffer.from(payload));
      return type === FRAME.exited;
    };
    const onSocket = (connected: Socket): void => {
      socket = connected;
      sendInput(connected, undefined);
    };
    converse(connect, { op: "spawn", argv, env }, onFrame, onSocket).then(
      () => ended.resolve(last),
      (error: unknown) => {
        clearTimeout(timer);
        ended.resolve(last);
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

/** Connects a person's terminal (or any pair of streams) to a program in the guest until that ends. */
export async function attachInGuest(
  connect: Connect,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  streams: { readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream; readonly error: NodeJS.WritableStream },
): Promise<Exited> {
  let exited: Exited | undefined;
  const onFrame: OnFrame = (type, payload) => {
    if (type === FRAME.stdout) streams.output.write(payload);
    else if (type === FRAME.stderr) streams.error.write(payload);
    else if (type === FRAME.exited) exited = JSON.parse(payload.toString()) as Exited;
    return exited !== undefined;
  };
  await converse(connect, { op: "exec", argv, env }, onFrame, (socket) => {
    streams.input.on("data", (chunk: Buffer) => socket.writable && socket.write(frame(FRAME.input, chunk)));
    streams.input.on("end", () => socket.writable && socket.write(frame(FRAME.inputEnd)));
  });
  return exited ?? { code: null, signal: "POWER" };
}

/** Reads a whole file. */
export async function readGuestFile(connect: Connect, path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await converse(connect, { op: "read", path }, (type, payload) => {
    if (type === FRAME.stdout) chunks.push(Buffer.from(payload));
    return type === FRAME.ok;
  });
  return Buffer.concat(chunks);
}

/** Writes a whole file. */
export async function writeGuestFile(connect: Connect, path: string, data: string | Buffer, mode: number): Promise<void> {
  await converse(
    connect,
    { op: "write", path, mode },
    (type) => type === FRAME.ok,
    (socket) => sendInput(socket, data),
  );
}

/** Resolves when the guest's init has done all it does. */
export async function awaitReady(connect: Connect): Promise<void> {
  await converse(connect, { op: "ready" }, (type) => type === FRAME.ok);
}

function sendInput(socket: Socket, data: string | Buffer | undefined): void {
  const bytes = data === undefined ? Buffer.alloc(0) : Buffer.from(data);
  for (let at = 0; at < bytes.length; at += 65_536) socket.write(frame(FRAME.input, bytes.subarray(at, at + 65_536)));
  socket.write(frame(FRAME.inputEnd));
}

function describe(argv: readonly string[]): string {
  const text = argv.join(" ");
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

function tail(out: readonly Buffer[], err: readonly Buffer[]): string {
  const text = (chunks: readonly Buffer[]): string =>
    Buffer.concat([...chunks])
      .toString()
      .trim()
      .slice(-4000);
  const parts = [text(err), text(out)].filter((part) => part !== "");
  return parts.length === 0 ? "" : `\n${parts.join("\n")}`;
}
