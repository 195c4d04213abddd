/**
 * One node program per host: an abstract unix socket, which the kernel frees when its holder dies,
 * however it dies. It belongs to the network namespace, so the program runs in the host's.
 */
import { createServer } from "node:net";
import { MeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";

const NAME = "\0io.meshstor.csi.mesh/node";
/** A predecessor that is being stopped gets this long to end, ms. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 250;

/** Resolves once this process holds the lock, for as long as it lives. @throws MeshStorError HostUnsuitable */
export async function holdHostLock(log: Logger): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (let said = false; ; said = true) {
    if (await tryLock()) return;
    if (performance.now() > end) throw new MeshStorError("HostUnsuitable", "another node program runs on this host and does not end; there may be one only");
    if (!said) log.info("waiting for the former node program on this host to end");
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function tryLock(): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(false) : reject(error)));
    server.listen(NAME, () => {
      server.unref();
      resolve(true);
    });
  });
}
