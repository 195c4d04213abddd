/** Reading what the API server answers: text, lines, JSON, and refusals as KubeError. */
import * as http from "node:http";
import { KubeError } from "./kube-error.ts";

/** Method and path of the request that an answer belongs to. */
export interface RequestLine {
  method: string;
  path: string;
}

const MAX_ANSWER_CHARS = 256 * 1024 * 1024;

/** The whole text of an answer. */
export function readText(res: http.IncomingMessage): Promise<string> {
  const parts: string[] = [];
  let chars = 0;
  return readChunks(res, (chunk) => {
    parts.push(chunk);
    chars += chunk.length;
    if (chars > MAX_ANSWER_CHARS) throw new Error("an answer without end");
  }).then(() => parts.join(""));
}

/** Calls `onLine` for every line of an answer, and `onLife` whenever something arrives. */
export function readLines(res: http.IncomingMessage, onLine: (line: string) => void, onLife: () => void): Promise<void> {
  let rest = "";
  return readChunks(res, (chunk) => {
    onLife();
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_ANSWER_CHARS) throw new Error("a line without end");
    for (const line of lines) if (line !== "") onLine(line);
  }).then(() => {
    if (rest !== "") onLine(rest);
  });
}

/** Feeds the answer's text to `onChunk`; rejects if the connection is lost before the answer's end or `onChunk` throws. */
function readChunks(res: http.IncomingMessage, onChunk: (chunk: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    res.setEncoding("utf8");
    res.on("data", (chunk: string) => {
      try {
        onChunk(chunk);
      } catch (error) {
        reject(error);
      }
    });
    res.on("end", () => (res.complete ? resolve() : reject(new Error("the connection was lost in the middle of an answer"))));
    res.on("error", reject);
    res.on("close", () => reject(new Error("the connection was lost in the middle of an answer")));
  });
}

/** The JSON of a successful answer. */
export function parseAnswer(text: string, request: RequestLine): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `${say(request)}: the answer is not JSON: ${text.slice(0, 80)}`;
    throw new KubeError({ status: 0, reason: "Garbage", message, ambiguous: request.method !== "GET", cause });
  }
}

interface StatusObject {
  kind?: string;
  reason?: string;
  message?: string;
  details?: { retryAfterSeconds?: number };
}

/** The KubeError for an answer that is no success: from its Status object, or from whatever a proxy sent. */
export function refusal(status: number, headers: http.IncomingHttpHeaders, text: string, request: RequestLine): KubeError {
  let body: StatusObject = {};
  try {
    const parsed = JSON.parse(text) as StatusObject | null;
    if (parsed?.kind === "Status") body = parsed;
  } catch {
    // Not from the API server itself; the status line must do.
  }
  const header = /^\d+$/.test(headers["retry-after"] ?? "") ? Number(headers["retry-after"]) : undefined;
  const retryAfter = header ?? body.details?.retryAfterSeconds;
  const reason = body.reason || http.STATUS_CODES[status]?.replaceAll(" ", "") || "Unknown";
  const message = `${say(request)}: ${status} ${body.message ?? (text.slice(0, 200) || reason)}`;
  const retryAfterMs = retryAfter === undefined ? undefined : retryAfter * 1000;
  return new KubeError({ status, reason, message, retryAfterMs, ambiguous: status >= 500 && request.method !== "GET" });
}

/** The request in a message; without the query, which says nothing to people and differs from time to time. */
export function say(request: RequestLine): string {
  return `${request.method} ${request.path.split("?")[0]}`;
}

/** What a thrown value says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
