/**
 * The exec channel's language, shared by the daemon in the guest and the client on the host.
 * A connection carries one request: a line of JSON, then frames (one byte type, four bytes length,
 * payload) in both directions; a forward carries raw bytes after the daemon's first frame.
 */
import type { Socket } from "node:net";

/** What a client asks for in its first line. */
export type Request =
  | { readonly op: "exec"; readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> }
  | { readonly op: "spawn"; readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> }
  | { readonly op: "forward"; readonly path: string }
  | { readonly op: "write"; readonly path: string; readonly mode: number }
  | { readonly op: "read"; readonly path: string }
  | { readonly op: "ready" };

/** Frame types; the daemon sends the first group, the client the second. */
export const FRAME = { started: 1, stdout: 2, stderr: 3, exited: 4, failed: 5, ok: 6, input: 11, inputEnd: 12, signal: 13 } as const;

/** How a program in the guest ended. */
export interface Exited {
  readonly code: number | null;
  readonly signal: string | null;
}

/** One frame as bytes. */
export function frame(type: number, payload: Buffer | string = ""): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload) : payload;
  const head = Buffer.alloc(5);
  head.writeUInt8(type, 0);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** Splits what a socket receives into a first line and then frames (or raw bytes). */
export class Reader {
  readonly #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Calls back with the first line (without its newline); what follows stays for {@link frames} or {@link rest}. */
  firstLine(callback: (line: string) => void): void {
    const onData = (chunk: Buffer): void => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      const end = this.#buffer.indexOf(10);
      if (end < 0) return;
      this.#socket.off("data", onData);
      this.#socket.pause();
      const line = this.#buffer.subarray(0, end).toString();
      this.#buffer = this.#buffer.subarray(end + 1);
      callback(line);
    };
    this.#socket.on("data", onData);
  }

  /** Calls back for every frame; a callback that returns true ends the reading (the socket is paused). */
  frames(callback: (type: number, payload: Buffer) => boolean | void): void {
    const drain = (): void => {
      while (this.#buffer.length >= 5) {
        const length = this.#buffer.readUInt32BE(1);
        if (this.#buffer.length < 5 + length) return;
        const type = this.#buffer.readUInt8(0);
        const payload = this.#buffer.subarray(5, 5 + length);
        this.#buffer = this.#buffer.subarray(5 + length);
        if (callback(type, payload) !== true) continue;
        this.#socket.off("data", onData);
        this.#socket.pause();
        return;
      }
    };
    const onData = (chunk: Buffer): void => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
      drain();
    };
    this.#socket.on("data", onData);
    drain();
    this.#socket.resume();
  }

  /** Bytes that were received and belong to nobody yet. */
  rest(): Buffer {
    const rest = this.#buffer;
    this.#buffer = Buffer.alloc(0);
    return rest;
  }
}
