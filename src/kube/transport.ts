/** HTTP to the API server over node:https. */
import type { KubeConfig } from "./config.ts";

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
/** A transport to the API server that the configuration names. */
export function createTransport(config: KubeConfig): Transport {
  throw new Error(`not written yet: ${config.server}`);
}
