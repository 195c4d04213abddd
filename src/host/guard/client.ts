/** Talks to the guard through its abstract socket, each request with a deadline; a watch ends when the guard does. */
import { connect } from "node:net";
import { MeshStorError } from "../../base/errors.ts";
import { stretched } from "../../base/time-scale.ts";
import { parseAnswer } from "./protocol.ts";

/** It belongs to the network namespace of the host, like the lock of the node program. */
export const GUARD_SOCKET = "io.meshstor.csi.mesh/guard";
const DEADLINE_MS = stretched(2_000);

/** Lines of the answer; null if no guard runs. Throws CommandTimedOut if there is one and it does not answer, and CommandFailed if it hangs up. */
export function askGuard(request: string, name = GUARD_SOCKET, deadlineMs = DEADLINE_MS): Promise<string[] | null> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: `\0${name}` });
    let text = "";
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new MeshStorError("CommandTimedOut", `the guard did not answer within ${deadlineMs} ms`))), deadlineMs);
    socket.on("error", (error: NodeJS.ErrnoException) =>
      end(() => (error.code === "ECONNREFUSED" ? resolve(null) : reject(new MeshStorError("CommandFailed", `the guard cannot be asked: ${error.message}`, { cause: error })))),
    );
    socket.on("data", (chunk) => {
      text += chunk.toString();
      const lines = parseAnswer(text);
      if (lines !== null) end(() => resolve(lines));
    });
    socket.on("close", () => end(() => reject(new MeshStorError("CommandFailed", "the guard hung up"))));
    socket.write(`${request}\n`);
  });
}

/** How soon the next guard is watched, or looked for where there is none, in ms. */
const AGAIN_MS = 500;

/** Calls `onGone` as soon as a guard that ran has ended, and watches the next one, until the signal aborts. */
export function watchGuard(onGone: () => void, signal: AbortSignal, name = GUARD_SOCKET): void {
  if (signal.aborted) return;
  const socket = connect({ path: `\0${name}` });
  let ran = false;
  socket.unref();
  socket.on("connect", () => void (ran = true));
  socket.on("error", () => {}); // Closed next, like one that ends.
  socket.on("close", () => {
    signal.removeEventListener("abort", end);
    if (signal.aborted) return;
    if (ran) onGone();
    setTimeout(() => watchGuard(onGone, signal, name), AGAIN_MS).unref();
  });
  const end = (): void => void socket.destroy();
  signal.addEventListener("abort", end, { once: true });
}
