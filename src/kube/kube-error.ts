/** The one error of the Kubernetes layer, and how it is read by the rest of the program. */
import { MeshStorError } from "../base/errors.ts";

/** What is known about a request that did not succeed. */
export interface KubeErrorFields {
  /** HTTP status; 0 if no answer came. */
  status: number;
  /** Reason of the Kubernetes Status object, or ours: Timeout, Unreachable, Cancelled, Garbage. */
  reason: string;
  message: string;
  retryAfterMs?: number | undefined;
  /** A write that was sent and may have been, or may still be, carried out. */
  ambiguous?: boolean;
  cause?: unknown;
}

/** A request to the API server that did not succeed. */
export class KubeError extends Error {
  /** HTTP status; 0 if no answer came. */
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs?: number;
  /**
   * True for a write whose fate is not known: it was sent, and either no answer came or the server answered
   * with 5xx (its store may have taken the write). It may also land later (Z2).
   */
  readonly ambiguous: boolean;

  constructor(fields: KubeErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = "KubeError";
    this.status = fields.status;
    this.reason = fields.reason;
    this.ambiguous = fields.ambiguous ?? false;
    if (fields.retryAfterMs !== undefined) this.retryAfterMs = fields.retryAfterMs;
  }
  get isNotFound(): boolean {
    return this.status === 404;
  }
  /** The object was changed since it was read (compare-and-swap lost), or a precondition does not hold. */
  get isConflict(): boolean {
    return this.status === 409 && this.reason !== "AlreadyExists";
  }
  get isAlreadyExists(): boolean {
    return this.status === 409 && this.reason === "AlreadyExists";
  }
  /** The resource version or list position is too old: list again. */
  get isExpired(): boolean {
    return this.status === 410 || this.reason === "Expired" || this.reason === "Gone";
  }
  /** No answer, a failing server or one that asks to come back later: the same request can succeed. */
  get isUnavailable(): boolean {
    return this.status === 0 || this.status >= 500 || this.status === 429;
  }
}

/** A failure of the Kubernetes layer as an error of the table, with `what` (a clause: "reading volume pvc-1") in its sentence. */
export function asApiError(thrown: unknown, what: string): MeshStorError {
  if (thrown instanceof MeshStorError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (!(thrown instanceof KubeError)) return new MeshStorError("Internal", `${what}: ${message}`, { cause: thrown });
  const code = thrown.isUnavailable ? "ApiUnavailable" : thrown.isConflict ? "RecordConflict" : "Internal";
  return new MeshStorError(code, `${what}: ${message}`, { cause: thrown });
}
