import assert from "node:assert/strict";
import { test } from "node:test";

import { MeshStorError } from "./errors.ts";
import { createLogger, type LoggerOptions } from "./log.ts";

function capture(options: LoggerOptions = {}) {
  const lines: Record<string, unknown>[] = [];
  const now = () => new Date("2026-11-20T10:00:00Z");
  const log = createLogger({ ...options, now, write: (line) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}

test("a line has time, level and msg, then its own and its parents' fields", () => {
  const { log, lines } = capture();
  log.child({ volume: "v1" }).child({ node: "n1" }).info("volume created", { bytes: 5n });
  assert.deepEqual(lines, [{ time: "2026-11-20T10:00:00.000Z", level: "info", msg: "volume created", volume: "v1", node: "n1", bytes: 5 }]);
});

test("lines below the level are dropped", () => {
  const { log, lines } = capture({ level: "warn" });
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  assert.deepEqual(
    lines.map((line) => line["msg"]),
    ["c", "d"],
  );
});

test("an error is written with its code and cause, a secret never", () => {
  const { log, lines } = capture();
  const error = new MeshStorError("Busy", "volume v1 is busy", { cause: new Error("inner") });
  log.error("call failed", { error, secrets: "s3cret" });
  const logged = lines[0]?.["error"] as { message: string; code: string; cause: { message: string } };
  assert.deepEqual([logged.message, logged.code, logged.cause.message], ["volume v1 is busy", "Busy", "inner"]);
  assert.equal(lines[0]?.["secrets"], "(hidden)");
});

test("a field that cannot be written does not throw", () => {
  const { log, lines } = capture();
  const loop: { self?: unknown } = {};
  loop.self = loop;
  log.info("loop", { loop });
  assert.equal(lines[0]?.["msg"], "loop");
  assert.match(String(lines[0]?.["unloggable"]), /circular/i);
});
