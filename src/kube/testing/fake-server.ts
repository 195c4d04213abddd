/** An HTTP server that plays the API server, one scripted answer after the other. For tests. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { LOG_LEVELS, type Logger } from "../../base/log.ts";
import { KubeError } from "../kube-error.ts";

export interface SeenRequest {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: IncomingMessage["headers"];
  body: unknown;
}
/** Plays one answer. */
export type Play = (response: ServerResponse, request: SeenRequest, socket: Socket) => void;

export class FakeServer {
  readonly requests: SeenRequest[] = [];
  /** Answers in order; when there are no more, `fallback`. */
  readonly script: Play[] = [];
  fallback: Play = answer(404, { kind: "Status", reason: "NotFound", message: "not scripted" });
  url = "";
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #sockets = new Set<Socket>();

  static async start(host = "127.0.0.1"): Promise<FakeServer> {
    const fake = new FakeServer();
    fake.#server.on("connection", (socket) => {
      fake.#sockets.add(socket);
      socket.on("close", () => fake.#sockets.delete(socket));
    });
    await new Promise<void>((done) => fake.#server.listen(0, host, done));
    const { port } = fake.#server.address() as AddressInfo;
    fake.url = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
    return fake;
  }

  /** Open connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Resets every connection (RST). */
  resetAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    this.resetAll();
    await new Promise((done) => this.#server.close(done));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    request.setEncoding("utf8");
    for await (const chunk of request) text += chunk as string;
    const url = new URL(request.url ?? "", "http://fake");
    const seen = {
      method: request.method ?? "",
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: request.headers,
      body: text === "" ? null : (JSON.parse(text) as unknown),
    };
    this.requests.push(seen);
    (this.script.shift() ?? this.fallback)(response, seen, request.socket);
  }
}

/** A complete JSON answer. */
export function answer(status: number, body: unknown, headers: Record<string, string> = {}): Play {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
}

/** A refusal as the API server words it. */
export function refuse(status: number, reason: string, headers: Record<string, string> = {}, details: object = {}): Play {
  return answer(status, { kind: "Status", apiVersion: "v1", status: "Failure", reason, message: `${reason} it is`, code: status, details }, headers);
}

/** A watch answer: these lines, then whatever `then` does with the open response. */
export function watchLines(lines: (object | string)[], then: (response: ServerResponse, socket: Socket) => void = () => {}): Play {
  return (response, _request, socket) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    for (const line of lines) response.write(typeof line === "string" ? `${line}\n` : `${JSON.stringify(line)}\n`);
    then(response, socket);
  };
}

/** A logger that keeps what is said. */
export function keepingLogger(): Logger & { lines: { level: string; msg: string; fields: Readonly<Record<string, unknown>> }[] } {
  const lines: { level: string; msg: string; fields: Readonly<Record<string, unknown>> }[] = [];
  const say = Object.fromEntries(LOG_LEVELS.map((level) => [level, (msg: string, fields = {}) => void lines.push({ level, msg, fields })]));
  const logger = { ...say, lines, child: () => logger } as unknown as Logger & { lines: typeof lines };
  return logger;
}

/** Waits until the condition holds; fails with its words after half a minute, which no machine is too busy for. */
export async function until(what: string, condition: () => boolean, timeoutMs = 30_000): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > timeoutMs) throw new Error(`never came: ${what}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** The KubeError that a request ends with; any other end fails the test. */
export async function failure(promise: Promise<unknown>): Promise<KubeError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof KubeError, String(error));
    return error;
  }
  throw new Error("did not fail");
}
