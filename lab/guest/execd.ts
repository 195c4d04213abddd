/**
 * The exec daemon inside a guest: runs programs, reads and writes files and reaches unix sockets for
 * the lab on the host. It listens on the management network only. A client that dies ends the
 * program it ran with exec; what was spawned lives on and its output goes to /run/lab/spawn-PID.log.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import { FRAME, frame, Reader, type Request } from "./wire.ts";

const READY_FILE = "/run/lab/ready";

function serve(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  const reader = new Reader(socket);
  reader.firstLine((line) => {
    try {
      answer(socket, reader, JSON.parse(line) as Request);
    } catch (error) {
      fail(socket, error);
    }
  });
}

function answer(socket: Socket, reader: Reader, request: Request): void {
  // Only a forward may close one direction and go on; for the others it means that the client died.
  if (request.op !== "forward") socket.on("end", () => socket.destroy());
  switch (request.op) {
    case "exec":
    case "spawn":
      return start(socket, reader, request.argv, request.env, request.op === "spawn");
    case "forward":
      return forward(socket, reader, request.path);
    case "write":
      return receiveFile(socket, reader, request.path, request.mode);
    case "read":
      socket.write(frame(FRAME.stdout, readFileSync(request.path)));
      return void socket.end(frame(FRAME.ok));
    case "ready":
      return waitReady(socket);
  }
}

function fail(socket: Socket, error: unknown): void {
  if (socket.writable) socket.end(frame(FRAME.failed, error instanceof Error ? error.message : String(error)));
}

function start(socket: Socket, reader: Reader, argv: readonly string[], env: Readonly<Record<string, string>>, detached: boolean): void {
  const [program = "", ...args] = argv;
  // Every program leads its own process group, so that a signal reaches what it started too.
  const child = spawn(program, args, { env: { ...process.env, ...env }, detached: true, stdio: ["pipe", "pipe", "pipe"] });
  child.on("error", (error) => fail(socket, error));
  child.stdin.on("error", () => {});
  child.once("spawn", () => socket.write(frame(FRAME.started, String(child.pid))));
  const send = (type: number) => (chunk: Buffer) => {
    if (socket.writable) socket.write(frame(type, chunk));
    else if (detached) appendFileSync(`/run/lab/spawn-${child.pid}.log`, chunk);
  };
  child.stdout.on("data", send(FRAME.stdout));
  child.stderr.on("data", send(FRAME.stderr));
  reportExit(socket, child);
  reader.frames((type, payload) => control(child, type, payload));
  socket.on("close", () => {
    if (!detached) signalGroup(child, "SIGKILL");
  });
}

function reportExit(socket: Socket, child: ChildProcess): void {
  const report = (code: number | null, signal: string | null): void => {
    if (socket.writable) socket.end(frame(FRAME.exited, JSON.stringify({ code, signal })));
  };
  child.on("close", report);
  // A grandchild may keep the pipes open after the program itself has ended.
  child.on("exit", (code, signal) => setTimeout(report, 1000, code, signal).unref());
}

function control(child: ChildProcess, type: number, payload: Buffer): void {
  if (type === FRAME.input) child.stdin?.write(Buffer.from(payload));
  else if (type === FRAME.inputEnd) child.stdin?.end();
  else if (type === FRAME.signal) signalGroup(child, payload.toString() as NodeJS.Signals);
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Already gone.
  }
}

function forward(socket: Socket, reader: Reader, path: string): void {
  const target = connect({ path, allowHalfOpen: true });
  target.on("error", (error) => (target.connecting ? fail(socket, error) : socket.destroy()));
  target.on("connect", () => {
    socket.write(frame(FRAME.ok));
    target.write(reader.rest());
    socket.pipe(target);
    target.pipe(socket);
  });
  socket.on("close", () => target.destroy());
  target.on("close", () => socket.end());
}

function receiveFile(socket: Socket, reader: Reader, path: string, mode: number): void {
  const chunks: Buffer[] = [];
  reader.frames((type, payload) => {
    if (type === FRAME.input) chunks.push(Buffer.from(payload));
    if (type !== FRAME.inputEnd) return;
    try {
      storeFile(path, Buffer.concat(chunks), mode);
      socket.end(frame(FRAME.ok));
    } catch (error) {
      fail(socket, error);
    }
  });
}

function storeFile(path: string, data: Buffer, mode: number): void {
  // Files of the kernel (sysfs, configfs, proc) and devices are written in place, others replaced whole; folders that lack are made.
  if (/^\/(sys|proc|dev)\//.test(path)) return writeFileSync(path, data);
  const fresh = `${path}.lab-new`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(fresh, data, { mode });
  renameSync(fresh, path);
}

function waitReady(socket: Socket): void {
  const timer = setInterval(() => {
    if (!existsSync(READY_FILE)) return;
    clearInterval(timer);
    socket.end(frame(FRAME.ok));
  }, 25);
  socket.on("close", () => clearInterval(timer));
}

process.on("uncaughtException", (error) => process.stderr.write(`execd: ${error.stack ?? error.message}\n`));
const server = createServer({ allowHalfOpen: true }, serve);
server.listen(Number(process.argv[2]), process.argv[3] ?? "0.0.0.0");
