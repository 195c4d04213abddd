/**
 * What a program says about itself over HTTP: `/healthz` answers 200 while it lives, `/readyz` while it does its duty too, else
 * 503 with one sentence per line. Whoever asks learns from the first what a restart may cure, from the second what it waits for.
 */
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { MeshStorError } from "./errors.ts";
import type { Logger } from "./log.ts";

/** A sentence while something is wrong, null while nothing is. */
export type HealthCheck = () => string | null | Promise<string | null>;

/** Longest wait for one check; a probe of kubelet waits 5 s. */
const CHECK_MS = 2_000;

/** What is known of the program's own state; filled by those who know. */
export class Health {
  readonly #live: HealthCheck[] = [];
  readonly #ready: HealthCheck[] = [];
  readonly #checkMs: number;
  #waits: string | null = "the program has just started";

  constructor(checkMs = CHECK_MS) {
    this.#checkMs = checkMs;
  }

  /** What the program waits for before it can serve; null: it serves. */
  waits(sentence: string | null): void {
    this.#waits = sentence;
  }

  /** A check that a restart of the program may cure. */
  live(check: HealthCheck): void {
    this.#live.push(check);
  }

  /** A check that a restart does not cure. */
  ready(check: HealthCheck): void {
    this.#ready.push(check);
  }

  /** What is wrong, in the order in which the checks were given. */
  async faults(of: "live" | "ready"): Promise<string[]> {
    const checks = of === "live" ? this.#live : [() => this.#waits, ...this.#live, ...this.#ready];
    const said = await Promise.all(checks.map((check) => this.#ask(check)));
    return said.filter((sentence) => sentence !== null);
  }

  async #ask(check: HealthCheck): Promise<string | null> {
    const late = new AbortController();
    const timeout = sleep(this.#checkMs, `a check of the program's state did not end within ${this.#checkMs} ms`, { signal: late.signal, ref: false });
    try {
      return await Promise.race([(async () => check())(), timeout]);
    } catch (error) {
      return `a check of the program's state failed: ${error instanceof Error ? error.message : String(error)}`;
    } finally {
      timeout.catch(() => {});
      late.abort();
    }
  }
}

/**
 * Serves it until the signal aborts. `place` is a port on all addresses, or an address and a port: `4422`, `127.0.0.1:4422`, `[::1]:4422`.
 * @throws MeshStorError InvalidParameter, or HostUnsuitable where the port is taken
 */
export async function serveHealth(health: Health, place: string, log: Pick<Logger, "info">, signal: AbortSignal): Promise<{ port: number }> {
  const { host, port } = parsePlace(place);
  const server = createServer((request, response) => {
    const of = request.url === "/healthz" ? "live" : request.url === "/readyz" ? "ready" : null;
    if (of === null || (request.method !== "GET" && request.method !== "HEAD")) {
      response.writeHead(of === null ? 404 : 405).end();
      return;
    }
    void health.faults(of).then((faults) => {
      response.writeHead(faults.length === 0 ? 200 : 503, { "content-type": "text/plain; charset=utf-8", connection: "close" });
      response.end(faults.length === 0 ? "ok\n" : `${faults.join("\n")}\n`);
    });
  });
  server.requestTimeout = 5_000;
  server.maxConnections = 32;
  await listen(server, host, port);
  server.unref();
  signal.addEventListener("abort", () => server.close(), { once: true });
  const bound = (server.address() as AddressInfo).port;
  log.info("serving health", { place, port: bound });
  return { port: bound };
}

function listen(server: Server, host: string | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(new MeshStorError("HostUnsuitable", `health cannot be served on port ${port}: ${cause.message}`, { cause })));
    server.listen({ port, ...(host !== undefined && { host }) }, () => resolve());
  });
}

function parsePlace(place: string): { host?: string; port: number } {
  const match = /^(?:(?:\[([0-9a-fA-F:]+)\]|([\d.]+)):)?(\d{1,5})$/.exec(place);
  const port = Number(match?.[3] ?? Number.NaN);
  if (!match || !(port <= 65_535)) throw new MeshStorError("InvalidParameter", `--health ${JSON.stringify(place)} is neither a port nor ADDRESS:PORT`);
  const host = match[1] ?? match[2];
  return { port, ...(host !== undefined && { host }) };
}
