/**
 * The one wrapper around every handler. An async handler that rejects would end the process
 * (grpc-js hands the promise to nobody); here every failure becomes a status of the error table.
 * The caller's deadline and its cancellation become an AbortSignal whose reason is an error of the
 * table, and which aborts a little before the deadline, so that a sentence can still be sent. What
 * a handler cannot stop half-way (a mount) goes on behind the answer, and keeps its volume's lock.
 */
import type { handleUnaryCall, ServerUnaryCall, StatusObject } from "@grpc/grpc-js";

import { asMeshStorError, GrpcStatus, MeshStorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";

export interface CallOptions {
  log: Logger;
  /** Aborts when the program stops and does not wait for its calls any longer. */
  stopping: AbortSignal;
}

/** Bound of a call whose caller gave no deadline. */
const LONGEST_CALL_MS = 10 * 60_000;
const LONGEST_MARGIN_MS = 1000;
const LONGEST_DETAILS = 2000;

/** Calls that change something are logged when they succeed; the others only on debug level. */
const CHANGING = /Create|Delete|Modify|Expand|Stage|Unstage|Publish|Unpublish/;

/** A grpc-js handler from an async function. */
export function unaryCall<Request, Response>(
  name: string,
  handler: (request: Request, signal: AbortSignal) => Promise<Response>,
  options: CallOptions,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const log = options.log.child(callFields(name, call.request));
    const started = performance.now();
    const bound = boundCall(name, call, options.stopping);
    const ms = () => Math.round(performance.now() - started);
    const work = Promise.resolve().then(() => handler(call.request, bound.signal));
    Promise.race([work, bound.over])
      .then(
        (response) => {
          log[CHANGING.test(name) ? "info" : "debug"]("call answered", { ms: ms() });
          callback(null, response);
        },
        (thrown: unknown) => {
          const error = failureOf(thrown, bound.signal);
          logFailure(log, error, ms());
          callback(statusOf(error));
        },
      )
      .catch((error: unknown) => log.error("an answer could not be sent", { error }))
      .finally(bound.release);
  };
}

function callFields(call: string, request: unknown): Record<string, unknown> {
  const { volumeId, name } = request as { volumeId?: unknown; name?: unknown };
  const volume = volumeId ?? name;
  return typeof volume === "string" ? { call, volume: volume.slice(0, 128) } : { call };
}

/** The end of a call: when its handler is told, and when it is not waited for any longer. */
interface Bound {
  signal: AbortSignal;
  /** Rejects with the signal's reason where the handler does not heed it in time. */
  over: Promise<never>;
  release: () => void;
}

/** The signal of a call: its deadline less a margin, its cancellation, the end of the program. */
function boundCall(name: string, call: ServerUnaryCall<unknown, unknown>, stopping: AbortSignal): Bound {
  const controller = new AbortController();
  const left = Number(call.getDeadline()) - Date.now();
  const margin = Math.min(LONGEST_MARGIN_MS, left / 10);
  const bound = Math.max(0, Math.min(left - margin, LONGEST_CALL_MS));
  const { promise: over, reject } = Promise.withResolvers<never>();
  let late: NodeJS.Timeout | undefined;
  const abort = (sentence: string) => {
    if (controller.signal.aborted) return;
    const reason = new MeshStorError("Waiting", `${name} ${sentence}`);
    controller.abort(reason);
    late = setTimeout(() => reject(reason), Math.max(0, Math.min(margin, LONGEST_MARGIN_MS) / 2));
  };
  const timer = setTimeout(abort, bound, "did not end before the caller's deadline");
  const stop = () => abort("was interrupted: the program stops");
  call.on("cancelled", () => abort("was cancelled by the caller"));
  stopping.addEventListener("abort", stop, { once: true });
  if (stopping.aborted) stop();
  const release = () => {
    clearTimeout(timer);
    clearTimeout(late);
    stopping.removeEventListener("abort", stop);
  };
  return { signal: controller.signal, over, release };
}

/** The error of the table behind whatever was thrown; an abort that surfaced as something else is the signal's reason. */
function failureOf(thrown: unknown, signal: AbortSignal): MeshStorError {
  if (thrown instanceof MeshStorError) return thrown;
  const aborted = thrown instanceof Error && (thrown.name === "AbortError" || thrown.name === "TimeoutError");
  return asMeshStorError(aborted && signal.aborted ? signal.reason : thrown);
}

function logFailure(log: Logger, error: MeshStorError, ms: number): void {
  const { code, message } = error;
  if (code === "Internal") log.error("call failed", { code, ms, error });
  else log.info("call refused", { code, ms, message });
}

/** The gRPC status of an error: the row's code; the sentence, then what to do. */
export function statusOf(error: MeshStorError): Pick<StatusObject, "code" | "details"> {
  const sentence = /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
  // grpc-js encodes the details as a URI, which a half surrogate pair would make throw.
  const details = `${sentence.slice(0, LONGEST_DETAILS)} ${error.row.hint}`.toWellFormed();
  return { code: GrpcStatus[error.row.grpc], details };
}
