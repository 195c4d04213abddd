/**
 * A lab's relay: the one process that lives in the lab's network namespace so that everybody else
 * need not. It listens on a unix socket; a client's first line names a host and port inside the
 * namespace, the answer is "ok" or a reason, and then bytes flow. `{"drop": host}` cuts all
 * connections to a host at once: a guest that lost power does not say goodbye.
 *
 * Run as: relay.ts SOCKET
 */
import { rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";

interface Request {
  readonly host?: string;
  readonly port?: number;
  readonly drop?: string;
}

const open = new Map<string, Set<Socket>>();

function serve(client: Socket): void {
  let head = Buffer.alloc(0);
  client.on("error", () => client.destroy());
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(10);
    if (end < 0) return;
    client.off("data", onData);
    client.pause();
    try {
      answer(client, JSON.parse(head.subarray(0, end).toString()) as Request);
    } catch {
      client.destroy();
    }
  };
  client.on("data", onData);
}

function answer(client: Socket, request: Request): void {
  if (request.drop !== undefined) {
    for (const socket of open.get(request.drop) ?? []) socket.destroy();
    client.end("ok\n");
    return;
  }
  const { host = "", port = 0 } = request;
  const target = connect({ host, port, allowHalfOpen: true, noDelay: true });
  remember(host, target);
  let connected = false;
  target.once("connect", () => {
    connected = true;
    client.write("ok\n");
    client.pipe(target);
    target.pipe(client);
  });
  target.on("error", (error) => (connected ? client.destroy() : client.end(`${error.message}\n`)));
  target.on("close", () => (target.errored === null && connected && target.readableEnded ? client.end() : client.destroySoon()));
  client.on("close", () => target.destroy());
}

function remember(host: string, socket: Socket): void {
  const sockets = open.get(host) ?? new Set();
  open.set(host, sockets.add(socket));
  socket.on("close", () => sockets.delete(socket));
}

const path = process.argv[2];
if (path === undefined) throw new Error("usage: relay.ts SOCKET");
rmSync(path, { force: true });
process.on("SIGINT", () => {});
process.on("SIGHUP", () => {});
createServer({ allowHalfOpen: true }, serve).listen(path);
