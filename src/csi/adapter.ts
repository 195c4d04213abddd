/** From a protobuf-es service description to what grpc-js serves. */
import { create, type DescMessage, type DescMethod, type DescService, fromBinary, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";

import { type CallOptions, unaryCall } from "./call.ts";

/** A handler of every method that is served, by its local name; the others answer UNIMPLEMENTED. */
export type Handlers<S extends DescService> = {
  [K in keyof S["method"]]?: S["method"][K] extends { input: infer I extends DescMessage; output: infer O extends DescMessage }
    ? (request: MessageShape<I>, signal: AbortSignal) => Promise<MessageInitShape<O>> | MessageInitShape<O>
    : never;
};
type AnyHandler = (request: unknown, signal: AbortSignal) => unknown;

/** A service with its handlers, ready for {@link serve}. */
export interface BoundService {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
}

/** Ties handlers to their service; the compiler checks requests and answers. */
export function bindService<S extends DescService>(service: S, handlers: Handlers<S>): BoundService {
  return { service, handlers };
}

/** The grpc-js definition of a service. */
export function serviceDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]));
}

function methodDefinition(method: DescMethod): MethodDefinition<MessageShape<DescMessage>, MessageShape<DescMessage>> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: (message) => Buffer.from(toBinary(method.input, message)),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(method.output, message)),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

/** The handlers as grpc-js calls them: each through the one wrapper of call.ts. */
export function implementation({ service, handlers }: BoundService, options: CallOptions): UntypedServiceImplementation {
  const calls: UntypedServiceImplementation = {};
  for (const method of service.methods) {
    const handler = handlers[method.localName] as AnyHandler | undefined;
    if (!handler) continue;
    calls[method.localName] = unaryCall(method.name, async (request, signal) => create(method.output, (await handler(request, signal)) as Record<string, unknown>), options);
  }
  return calls;
}
