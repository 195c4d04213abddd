/**
 * The one table of errors. Every failure that a person or a program can meet has a row here:
 * its gRPC status (CSI), the reason of the Kubernetes event, the exit code of a command, whether a
 * retry can help, and what the person should do. The reference page docs/reference/errors.md is
 * generated from this table.
 */

/** gRPC status codes that we answer with (numbers: grpc/grpc doc/statuscodes.md). */
export const GrpcStatus = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;
export type GrpcStatusName = keyof typeof GrpcStatus;

/** One row of the table. */
export interface ErrorRow {
  readonly grpc: GrpcStatusName;
  /** Reason of the Kubernetes event, CamelCase. */
  readonly reason: string;
  /** Exit code of a command-line program that ends with this error. */
  readonly exit: number;
  /** True if the same call can succeed later with nothing changed by a person. */
  readonly retry: boolean;
  /** What the person should do, one sentence. */
  readonly hint: string;
}

export const ERRORS = {
  InvalidParameter: { grpc: "INVALID_ARGUMENT", reason: "InvalidParameter", exit: 2, retry: false, hint: "Correct the named field in the StorageClass or the request." },
  InvalidName: {
    grpc: "INVALID_ARGUMENT",
    reason: "InvalidName",
    exit: 2,
    retry: false,
    hint: "Use letters, digits, '-', '_' and '.', at most 128 of them, beginning with a letter or digit.",
  },
  UnsupportedCapability: {
    grpc: "INVALID_ARGUMENT",
    reason: "UnsupportedCapability",
    exit: 2,
    retry: false,
    hint: "Ask for an access mode and volume mode that the feature matrix in the documentation offers.",
  },
  BadArgument: { grpc: "INVALID_ARGUMENT", reason: "BadArgument", exit: 2, retry: false, hint: "Nothing was changed. Correct the named argument; '--help' says what is wanted." },
  SizeOutOfRange: { grpc: "OUT_OF_RANGE", reason: "SizeOutOfRange", exit: 2, retry: false, hint: "Ask for at least 512 MiB and a limit that is not below the request." },
  BadPageToken: { grpc: "ABORTED", reason: "BadPageToken", exit: 2, retry: false, hint: "Begin the list anew, without a starting token." },
  NoCapacity: { grpc: "RESOURCE_EXHAUSTED", reason: "NoCapacity", exit: 3, retry: true, hint: "See 'kubectl get msnd' for free space; add drives or nodes, or delete volumes." },
  NotEnoughNodes: {
    grpc: "RESOURCE_EXHAUSTED",
    reason: "NotEnoughNodes",
    exit: 3,
    retry: true,
    hint: "Every copy needs a node of its own with enough suitable drives: add nodes or ask for fewer copies.",
  },
  VolumeNotFound: { grpc: "NOT_FOUND", reason: "VolumeNotFound", exit: 4, retry: false, hint: "Check the volume id with 'kubectl get msvol'." },
  NodeNotFound: { grpc: "NOT_FOUND", reason: "NodeNotFound", exit: 4, retry: false, hint: "Nothing was changed. Check the name with 'kubectl get nodes'." },
  VolumeIncompatible: {
    grpc: "ALREADY_EXISTS",
    reason: "VolumeIncompatible",
    exit: 5,
    retry: false,
    hint: "A volume of this name exists with other parameters: delete it or choose another name.",
  },
  VolumeInUse: { grpc: "FAILED_PRECONDITION", reason: "VolumeInUse", exit: 6, retry: true, hint: "The named node uses the volume: stop the pod there and let it unstage." },
  OwnerGone: {
    grpc: "FAILED_PRECONDITION",
    reason: "OwnerGone",
    exit: 6,
    retry: true,
    hint: "Bring the named node back, or declare it out of service (taint node.kubernetes.io/out-of-service) if its machine is off.",
  },
  TargetInUse: { grpc: "FAILED_PRECONDITION", reason: "TargetInUse", exit: 6, retry: false, hint: "The path is used by another volume or is not a directory: free it." },
  NotStaged: { grpc: "FAILED_PRECONDITION", reason: "NotStaged", exit: 6, retry: true, hint: "Stage the volume on this node first." },
  NoGoodCopy: { grpc: "UNAVAILABLE", reason: "NoGoodCopy", exit: 7, retry: true, hint: "Bring back the named node: it holds the last good copy." },
  Waiting: { grpc: "DEADLINE_EXCEEDED", reason: "Waiting", exit: 8, retry: true, hint: "The sentence says what is waited for; the call is safe to repeat." },
  Busy: { grpc: "ABORTED", reason: "Busy", exit: 8, retry: true, hint: "Another operation on this volume is under way; repeat later." },
  ApiUnavailable: { grpc: "UNAVAILABLE", reason: "ApiUnavailable", exit: 9, retry: true, hint: "The Kubernetes API server does not answer; nothing is decided without it." },
  RecordConflict: { grpc: "ABORTED", reason: "RecordConflict", exit: 9, retry: true, hint: "The volume's record was changed by somebody else meanwhile; it is read again." },
  RecordOlderThanLabel: {
    grpc: "FAILED_PRECONDITION",
    reason: "RecordOlderThanLabel",
    exit: 10,
    retry: false,
    hint: "The record in the API is older than the labels on the drives (a restored backup?): see docs/how-to/restored-api.md.",
  },
  NotConfirmed: {
    grpc: "FAILED_PRECONDITION",
    reason: "NotConfirmed",
    exit: 13,
    retry: false,
    hint: "Nothing was changed. Read what would be lost, then type the volume's name, or give it with --yes-i-mean.",
  },
  Forbidden: {
    grpc: "FAILED_PRECONDITION",
    reason: "Forbidden",
    exit: 14,
    retry: false,
    hint: "The API server does not allow this to you: ask for the named verb and resource, or use another context.",
  },
  ForeignContent: {
    grpc: "FAILED_PRECONDITION",
    reason: "ForeignContent",
    exit: 10,
    retry: false,
    hint: "The device carries something that is not ours; nothing was changed. Look at it by hand.",
  },
  Unsafe: {
    grpc: "FAILED_PRECONDITION",
    reason: "Unsafe",
    exit: 10,
    retry: true,
    hint: "It could not be proven that data is safe, so nothing was done; the sentence says what is missing.",
  },
  HostUnsuitable: {
    grpc: "FAILED_PRECONDITION",
    reason: "HostUnsuitable",
    exit: 11,
    retry: false,
    hint: "The node lacks what the sentence names (kernel, module, tool or udev rule).",
  },
  CommandFailed: { grpc: "INTERNAL", reason: "CommandFailed", exit: 12, retry: true, hint: "A host command failed; its output is in the message and in the node program's log." },
  CommandTimedOut: { grpc: "UNAVAILABLE", reason: "CommandTimedOut", exit: 12, retry: true, hint: "A host command did not end in time; a drive or connection may hang." },
  Internal: { grpc: "INTERNAL", reason: "Internal", exit: 70, retry: true, hint: "This is a bug: please report it with the node program's log." },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** An error of the table: `message` is one sentence that names the field, volume or node concerned. */
export class MeshStorError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "MeshStorError";
    this.code = code;
  }
  /** The table's row for this error. */
  get row(): ErrorRow {
    return ERRORS[this.code];
  }
}

/** Any thrown value as an error of the table; what is not ours becomes `Internal`. */
export function asMeshStorError(thrown: unknown): MeshStorError {
  if (thrown instanceof MeshStorError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new MeshStorError("Internal", message, { cause: thrown });
}
