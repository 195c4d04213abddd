/**
 * Logs as JSON lines: time, level, msg, then fields. `msg` is a constant sentence that can be
 * searched for; what varies goes into fields. A logger is handed down, never global.
 */

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Lines below this level are dropped; default info. */
  level?: LogLevel;
  /** Where a line goes (with its newline); default standard error. */
  write?: (line: string) => void;
  now?: () => Date;
}

/** Fields whose values are never written, whatever their case. */
const SECRET = /secret|token|password|authorization|private.?key/i;
const LONGEST_TEXT = 4096;

/** An error as fields: message, code where it has one, the stack, and the same of its cause. */
function errorFields(error: Error, depth: number): LogFields {
  const code = "code" in error ? { code: error.code } : {};
  const cause = error.cause === undefined || depth === 0 ? {} : { cause: plain(error.cause, depth - 1) };
  return { message: error.message, ...code, stack: error.stack, ...cause };
}

function plain(value: unknown, depth: number): unknown {
  if (value instanceof Error) return errorFields(value, depth);
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string" && value.length > LONGEST_TEXT) return `${value.slice(0, LONGEST_TEXT)}…`;
  return value;
}

/** One line of JSON; a field that cannot be written never stops the program. */
function format(time: string, level: LogLevel, msg: string, fields: LogFields): string {
  const safe = (key: string, value: unknown) => (SECRET.test(key) && typeof value === "string" ? "(hidden)" : plain(value, 3));
  try {
    return `${JSON.stringify({ time, level, msg, ...fields }, safe)}\n`;
  } catch (error) {
    return `${JSON.stringify({ time, level, msg, unloggable: String(error) })}\n`;
  }
}

/** A logger that writes JSON lines. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const now = options.now ?? (() => new Date());
  const lowest = LOG_LEVELS.indexOf(options.level ?? "info");
  const withFields = (bound: LogFields): Logger => {
    const at = (level: LogLevel) => (msg: string, fields?: LogFields) => {
      if (LOG_LEVELS.indexOf(level) < lowest) return;
      write(format(now().toISOString(), level, msg, { ...bound, ...fields }));
    };
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), child: (fields) => withFields({ ...bound, ...fields }) };
  };
  return withFields({});
}

/** A logger for tests that says nothing. */
export const silentLogger: Logger = createLogger({ write: () => {} });
