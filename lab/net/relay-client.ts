/** Reaching addresses inside a lab's network namespace from any process, through the lab's relay. */
import { spawn } from "node:child_process";
import { existsSync, openSync, closeSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Reader } from "../guest/wire.ts";
import { inNamespace } from "./namespace.ts";

const RELAY = fileURLToPath(new URL("./relay.ts", import.meta.url));

/** Starts a lab's relay; resolves with its pid once it listens. It outlives this process. */
export async function startRelay(labId: string, socketPath: string, logPath: string): Promise<number> {
  const log = openSync(logPath, "a");
  const [program = "", ...args] = inNamespace(labId, [process.execPath, "--disable-warning=ExperimentalWarning", RELAY, socketPath]);
  const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  child.unref();
  let ended: string | undefined;
  child.once("error", (error) => (ended = error.message));
  child.once("exit", (code) => (ended = `exit code ${code}`));
  for (let waited = 0; !existsSync(socketPath); waited += 20) {
    if (ended !== undefined || waited > 20_000) throw new Error(`the lab's relay does not start (${ended ?? "no socket"}); see ${logPath}`);
    await sleep(20);
  }
  return child.pid ?? 0;
}

/** Connects to an address inside the lab's namespace. */
export function connectThroughRelay(socketPath: string, host: string, port: number): Promise<Socket> {
  return request(socketPath, { host, port });
}

/** Ends every connection that the relay holds to a host. */
export async function dropThroughRelay(socketPath: string, host: string): Promise<void> {
  (await request(socketPath, { drop: host })).destroy();
}

function request(socketPath: string, what: object): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath, allowHalfOpen: true });
    const onError = (error: Error): void => reject(error);
    const onClose = (): void => reject(new Error("the lab's relay closed the connection"));
    socket.once("error", onError);
    socket.once("close", onClose);
    socket.once("connect", () => socket.write(`${JSON.stringify(what)}\n`));
    new Reader(socket).firstLine((line) => {
      socket.off("error", onError);
      socket.off("close", onClose);
      if (line === "ok") return resolve(socket);
      socket.destroy();
      reject(new Error(line));
    });
  });
}

/** Listens on a loopback port of the host and relays every connection to an address inside the namespace. */
export async function listenLoopback(socketPath: string, host: string, port: number): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (local) => {
    local.on("error", () => local.destroy());
    connectThroughRelay(socketPath, host, port).then(
      (remote) => {
        remote.on("error", () => local.destroy());
        remote.on("close", () => local.destroy());
        local.on("close", () => remote.destroy());
        local.pipe(remote);
        remote.pipe(local);
        // A connection that is kept does not keep the program: whoever waits for an answer holds the other end.
        for (const socket of [local, remote]) socket.unref();
      },
      () => local.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  server.unref();
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port for the loopback relay");
  return { port: address.port, server };
}
