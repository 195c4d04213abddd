/**
 * HTTP/1.1 to the API server on node:https: kept-alive connections, a deadline for every request, one connection per
 * watch. Nothing here knows about kinds of objects.
 *
 * Dead peers are found three ways: by the deadline of a request, by the idle time of a stream, and by TCP keep-alive
 * (first probe after 10 s of silence, then each second, ten times) on every connection.
 */
import * as http from "node:http";
import * as https from "node:https";
import type { Socket } from "node:net";
import type { KubeConfig } from "./config.ts";
import { KubeError, type KubeErrorFields } from "./kube-error.ts";
import { messageOf, parseAnswer, readLines, readText, refusal, say } from "./answer.ts";

export interface TransportRequest {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path and query. */
  path: string;
  body?: unknown;
  contentType?: string;
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}
export interface StreamRequest {
  path: string;
  idleMs: number;
  signal: AbortSignal;
  onOpen(): void;
  onLine(line: string): void;
}
export interface Transport {
  /** One request; resolves to the parsed JSON answer, throws KubeError for anything else. */
  request(request: TransportRequest): Promise<unknown>;
  /** One answer read line by line; resolves at its end. */
  stream(request: StreamRequest): Promise<void>;
  close(): void;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const TCP_KEEPALIVE_MS = 10_000;
/** Below the 90 s after which the API server closes an idle connection, so that we do not write into a closing one. */
const IDLE_CONNECTION_MS = 60_000;

/** A transport to the API server that the configuration names. */
export function createTransport(config: KubeConfig): Transport {
  return new HttpTransport(config);
}

/** What one exchange over the wire ended with. */
type Outcome = { answer: { status: number; headers: http.IncomingHttpHeaders; text: string } } | { lost: KubeError; staleConnection: boolean };

class HttpTransport implements Transport {
  readonly #config: KubeConfig;
  readonly #url: URL;
  #agent: http.Agent | null = null;
  #agentMaterial = "";

  constructor(config: KubeConfig) {
    this.#config = config;
    this.#url = new URL(config.server);
  }

  async request(request: TransportRequest): Promise<unknown> {
    const deadline = performance.now() + (request.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    let retriedToken = false;
    let retriedConnection = false;
    for (;;) {
      const outcome = await this.#exchange(request, deadline);
      if ("lost" in outcome) {
        if (!outcome.staleConnection || retriedConnection || request.method !== "GET") throw outcome.lost;
        retriedConnection = true;
        continue;
      }
      const { status, headers, text } = outcome.answer;
      if (status === 401 && !retriedToken) {
        retriedToken = true;
        this.#config.refresh?.();
        continue;
      }
      if (status >= 200 && status < 300) return parseAnswer(text, request);
      throw refusal(status, headers, text, request);
    }
  }

  #exchange(request: TransportRequest, deadline: number): Promise<Outcome> {
    return new Promise((resolve) => {
      const req = this.#open(request.method, request.path, request.body, request.contentType);
      const writes = request.method !== "GET";
      const sent = trackSent(req, this.#url.protocol === "https:");
      let answered = false;
      let ended = false;
      const end = (outcome: Outcome): void => {
        if (ended) return;
        ended = true;
        clearTimeout(timer);
        request.signal?.removeEventListener("abort", onAbort);
        if ("lost" in outcome) req.destroy();
        resolve(outcome);
      };
      const lose = (fields: Pick<KubeErrorFields, "reason" | "message" | "cause">): void => {
        const staleConnection = req.reusedSocket && !answered && fields.reason === "Unreachable";
        const message = `${say(request)}: ${fields.message}`;
        end({ lost: new KubeError({ ...fields, message, status: 0, ambiguous: writes && sent() }), staleConnection });
      };
      const onAbort = (): void => lose({ reason: "Cancelled", message: "cancelled", cause: request.signal?.reason });
      const timeLeft = Math.max(0, deadline - performance.now());
      const timer = setTimeout(() => lose({ reason: "Timeout", message: "no answer in time" }), timeLeft);
      req.on("error", (error) => lose({ reason: "Unreachable", message: error.message, cause: error }));
      req.on("response", (res) => {
        answered = true;
        readText(res).then(
          (text) => end({ answer: { status: res.statusCode ?? 0, headers: res.headers, text } }),
          (error: unknown) => lose({ reason: "Unreachable", message: messageOf(error), cause: error }),
        );
      });
      if (request.signal?.aborted) onAbort();
      else request.signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  async stream(request: StreamRequest): Promise<void> {
    try {
      await this.#streamOnce(request);
    } catch (error) {
      if (!(error instanceof KubeError) || error.status !== 401) throw error;
      this.#config.refresh?.();
      await this.#streamOnce(request);
    }
  }

  #streamOnce(request: StreamRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      const req = this.#open("GET", request.path);
      const what = say({ method: "WATCH", path: request.path });
      let ended = false;
      const end = (error?: unknown): void => {
        if (ended) return;
        ended = true;
        clearTimeout(idle);
        request.signal.removeEventListener("abort", onAbort);
        if (error === undefined) {
          resolve();
          return;
        }
        req.destroy();
        reject(error instanceof KubeError ? error : new KubeError({ status: 0, reason: "Unreachable", message: `${what}: ${messageOf(error)}`, cause: error }));
      };
      const onAbort = (): void => end(new KubeError({ status: 0, reason: "Cancelled", message: `${what}: cancelled` }));
      const onIdle = (): void => end(new KubeError({ status: 0, reason: "Timeout", message: `${what}: silent for too long` }));
      let idle = setTimeout(onIdle, Math.min(request.idleMs, DEFAULT_TIMEOUT_MS));
      req.on("error", end);
      req.on("response", (res) => {
        if (res.statusCode !== 200) {
          readText(res).then((text) => end(refusal(res.statusCode ?? 0, res.headers, text, { method: "GET", path: request.path })), end);
          return;
        }
        request.onOpen();
        const restart = (): void => {
          clearTimeout(idle);
          if (!ended) idle = setTimeout(onIdle, request.idleMs);
        };
        restart();
        readLines(res, (line) => !ended && request.onLine(line), restart).then(() => end(), end);
      });
      if (request.signal.aborted) onAbort();
      else request.signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  close(): void {
    this.#agent?.destroy();
    this.#agent = null;
  }

  #open(method: string, path: string, body?: unknown, contentType = "application/json"): http.ClientRequest {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers: http.OutgoingHttpHeaders = { accept: "application/json", "user-agent": "meshstor" };
    if (text !== undefined) Object.assign(headers, { "content-type": contentType, "content-length": Buffer.byteLength(text) });
    const { token, agent } = this.#credentials();
    if (token) headers.authorization = `Bearer ${token}`;
    const options: https.RequestOptions = {
      method,
      path: this.#url.pathname.replace(/\/$/, "") + path,
      // URL keeps the brackets of an IPv6 address; a socket wants none.
      host: this.#url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: this.#url.port || (this.#url.protocol === "https:" ? 443 : 80),
      headers,
      agent,
    };
    const req = this.#url.protocol === "https:" ? https.request(options) : http.request(options);
    req.end(text);
    return req;
  }

  #credentials(): { token: string | undefined; agent: http.Agent } {
    try {
      return { token: this.#config.token?.(), agent: this.#currentAgent() };
    } catch (error) {
      throw new KubeError({ status: 0, reason: "Unreachable", message: `no credentials for the API server: ${messageOf(error)}`, cause: error });
    }
  }

  /** The agent that holds the connections; a new one after the certificates in the files have changed. */
  #currentAgent(): http.Agent {
    const ca = this.#config.ca?.();
    const client = this.#config.clientCertificate?.();
    const material = [ca, client?.cert, client?.key].join("\n");
    if (this.#agent && material === this.#agentMaterial) return this.#agent;
    const common = { keepAlive: true, keepAliveMsecs: TCP_KEEPALIVE_MS, maxFreeSockets: 4, timeout: IDLE_CONNECTION_MS };
    const tls: https.AgentOptions = { ...common, minVersion: "TLSv1.2" };
    if (ca) tls.ca = ca;
    if (client) Object.assign(tls, client);
    if (this.#config.serverName) tls.servername = this.#config.serverName;
    if (this.#config.insecureSkipTlsVerify) tls.rejectUnauthorized = false;
    // The old agent's connections end by themselves: watches by their server timeout, idle ones after a minute.
    this.#agent = this.#url.protocol === "https:" ? new https.Agent(tls) : new http.Agent(common);
    this.#agentMaterial = material;
    return this.#agent;
  }
}

/** Says whether the request may have left this machine: true from the moment its connection stands. */
function trackSent(req: http.ClientRequest, tls: boolean): () => boolean {
  let sent = false;
  req.on("socket", (socket: Socket) => {
    if (req.reusedSocket || !socket.connecting) sent = true;
    else socket.once(tls ? "secureConnect" : "connect", () => (sent = true));
  });
  return () => sent;
}
