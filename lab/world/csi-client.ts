/** A CSI caller on the host: speaks to a program's unix socket as kubelet and the sidecars do. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethodUnary, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Client, credentials, status as grpcStatus, type ServiceError } from "@grpc/grpc-js";

/** A gRPC answer that is not OK. */
export class CsiError extends Error {
  /** Name of the status, for example INVALID_ARGUMENT. */
  readonly code: string;
  constructor(method: string, error: ServiceError) {
    super(`${method}: ${grpcStatus[error.code]}: ${error.details}`);
    this.name = "CsiError";
    this.code = grpcStatus[error.code] ?? String(error.code);
  }
}

/** One connection to one socket. */
export class CsiClient {
  readonly #client: Client;

  constructor(socketPath: string) {
    this.#client = new Client(`unix://${socketPath}`, credentials.createInsecure(), {
      "grpc.default_authority": "localhost",
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 500,
    });
  }

  /** Calls one method with a deadline (60 s unless told). @throws CsiError */
  call<I extends DescMessage, O extends DescMessage>(
    service: DescService,
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    timeoutMs = 60_000,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/${service.typeName}/${method.name}`,
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        create<I>(method.input, request),
        { deadline: Date.now() + timeoutMs },
        (error, answer) => {
          if (error) reject(new CsiError(method.name, error));
          else resolve(answer as MessageShape<O>);
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}
