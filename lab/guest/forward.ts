/** Unix sockets on the host that reach unix sockets in a guest. */
import { createServer, type Server, type Socket } from "node:net";
import type { Connect } from "./exec-client.ts";
import { FRAME, Reader } from "./wire.ts";

/** Listens on `hostPath`; every connection gets its own way to `guestPath`. The server does not keep a process alive. */
export async function listenForward(connect: Connect, guestPath: string, hostPath: string): Promise<Server> {
  if (hostPath.length >= 100) throw new Error(`${hostPath}: too long for a unix socket; choose a shorter state directory`);
  const server = createServer({ allowHalfOpen: true }, (local) => {
    local.on("error", () => local.destroy());
    relay(local, connect, guestPath).catch(() => local.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(hostPath, resolve);
  });
  server.unref();
  return server;
}

async function relay(local: Socket, connect: Connect, guestPath: string): Promise<void> {
  const remote = await connect();
  remote.on("error", () => local.destroy());
  remote.on("close", () => local.destroy());
  local.on("close", () => remote.destroy());
  const reader = new Reader(remote);
  reader.frames((type) => {
    if (type !== FRAME.ok) {
      local.destroy();
      return true;
    }
    // The reader pauses the socket after this callback; piping must come after that.
    process.nextTick(() => {
      local.write(reader.rest());
      local.pipe(remote);
      remote.pipe(local);
    });
    return true;
  });
  remote.write(`${JSON.stringify({ op: "forward", path: guestPath })}\n`);
}
