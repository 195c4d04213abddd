/** A CSI client for tests: calls a server over its unix socket as kubelet and the sidecars do. */
import { create, type DescService, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { type CallOptions, Client, credentials, type ServiceError } from "@grpc/grpc-js";

import { GrpcStatus, type GrpcStatusName } from "../base/errors.ts";
import { type BoundService, serviceDefinition } from "./adapter.ts";
import { silentLogger } from "../base/log.ts";
import { serve } from "./server.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Input<S extends DescService, K extends keyof S["method"]> = S["method"][K]["input"];
type Output<S extends DescService, K extends keyof S["method"]> = S["method"][K]["output"];

export interface TestClient<S extends DescService> {
  call<K extends keyof S["method"] & string>(
    method: K,
    request: MessageInitShape<Input<S, K>>,
    options?: CallOptions & { signal?: AbortSignal },
  ): Promise<MessageShape<Output<S, K>>>;
  close(): void;
}

/** A client of one service. */
export function testClient<S extends DescService>(service: S, path: string): TestClient<S> {
  const client = new Client(`unix:${path}`, credentials.createInsecure());
  const definition = serviceDefinition(service);
  return {
    call: (method, request, { signal, ...options } = {}) =>
      new Promise((resolve, reject) => {
        const { path: route, requestSerialize, responseDeserialize } = definition[method]!;
        const message = create(service.method[method]!.input, request as never);
        const call = client.makeUnaryRequest(route, requestSerialize, responseDeserialize, message, options, (error, response) =>
          error ? reject(error) : resolve(response as never),
        );
        signal?.addEventListener("abort", () => call.cancel());
      }),
    close: () => client.close(),
  };
}

/** What a refused call answers: the name of its status and its details. */
export async function refusalOf(call: Promise<unknown>): Promise<{ code: GrpcStatusName | number; details: string }> {
  try {
    await call;
  } catch (thrown) {
    const { code, details } = thrown as ServiceError;
    const name = Object.entries(GrpcStatus).find(([, value]) => value === code)?.[0] as GrpcStatusName | undefined;
    return { code: name ?? code, details };
  }
  throw new Error("the call was expected to be refused, but it succeeded");
}

/** The status of a call, `OK` if it succeeded. */
export async function codeOf(call: Promise<unknown>): Promise<GrpcStatusName | number> {
  return call.then(
    () => "OK" as const,
    async () => (await refusalOf(call)).code,
  );
}

/** Runs a body against a server with these services on a socket of its own. */
export async function withServer<S extends DescService>(service: S, bound: BoundService, body: (client: TestClient<S>, path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "meshstor-csi-"));
  const path = join(folder, "csi.sock");
  const stop = new AbortController();
  const server = await serve({ endpoint: `unix://${path}`, services: [bound], log: silentLogger, signal: stop.signal, drainMs: 200 });
  const client = testClient(service, path);
  try {
    await body(client, path);
  } finally {
    client.close();
    stop.abort();
    await server.closed;
    await rm(folder, { recursive: true, force: true });
  }
}
