/** The unix socket of a gRPC server: where it is, and that nothing stale is in its place. */
import { lstat, mkdir, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, isAbsolute } from "node:path";

import { MeshStorError } from "../base/errors.ts";

/** Longest path that fits into the kernel's socket address. */
const LONGEST_PATH = 107;
const ANSWER_MS = 1000;

/** The path of `unix:///run/csi.sock` (or `unix:/run/csi.sock`). */
export function socketPath(endpoint: string): string {
  const path = /^unix:(?:\/\/)?(\/.*)$/.exec(endpoint)?.[1];
  if (path === undefined || !isAbsolute(path)) throw new MeshStorError("InvalidParameter", `endpoint ${JSON.stringify(endpoint)} is not of the form unix:///path/to/socket`);
  const bytes = Buffer.byteLength(path);
  if (bytes > LONGEST_PATH) throw new MeshStorError("InvalidParameter", `endpoint ${endpoint}: the path has ${bytes} bytes, a unix socket's has at most ${LONGEST_PATH}`);
  return path;
}

/**
 * Makes the place free: the folder exists, and a socket that a killed process left behind is removed.
 * @throws MeshStorError if something else is there, or if a program answers on the socket.
 */
export async function freeSocket(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (found === null) return;
  if (!found.isSocket()) throw new MeshStorError("HostUnsuitable", `${path} exists and is not a socket; nothing was changed`);
  if (await answers(path)) throw new MeshStorError("HostUnsuitable", `another program answers on ${path}`);
  await unlink(path);
}

/** True unless the kernel says that nobody listens there. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ANSWER_MS, () => settle(true));
    socket.once("connect", () => settle(true));
    socket.once("error", (error: NodeJS.ErrnoException) => settle(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"));
  });
}
