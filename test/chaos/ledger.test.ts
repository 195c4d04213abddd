import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { addToLedger, provenNames, readLedger, tableOf, type Entry } from "./ledger.ts";

const entry = (name: string, verdict: Entry["verdict"], more: Partial<Entry> = {}): Entry => ({
  name,
  at: "2026-01-01T00:00:00Z",
  verdict,
  seconds: 5,
  engaged: ["n2 lost power"],
  ...more,
});

test("a ledger is read back; a line that was cut short is passed over; the newest entry of a name counts", () => {
  const dir = mkdtempSync(join(tmpdir(), "ledger-"));
  const path = join(dir, "deep/ledger.jsonl");
  const entries = [entry("a", "ok"), entry("b", "error"), entry("a", "violation"), entry("b", "ok")];
  assert.deepEqual(readLedger(path), []);
  for (const each of entries.slice(0, 3)) addToLedger(path, each);
  appendFileSync(path, '{"name":"c","verd');
  addToLedger(path, entries[3]!);
  const read = readLedger(path);
  rmSync(dir, { recursive: true });
  assert.deepEqual({ read, proven: provenNames(read) }, { read: entries, proven: new Set(["b"]) });
});

test("the table", () => {
  const entries = [entry("a", "ok", { acknowledged: 700, pauseMs: 3210, healthyMs: 10_000 }), entry("long/name", "error", { message: "no answer", logs: "/x" })];
  assert.deepEqual(tableOf(entries).split("\n"), [
    "CASE       ENGAGED  ACKED  PAUSE  HEALTHY AFTER  VERDICT",
    "a          1        700    3.2 s  10.0 s         ok",
    "long/name  1        -      -      -              error",
    "",
    "long/name: no answer",
    "  logs: /x",
    "2 cases: 1 ok, 0 violation, 0 not healthy, 0 not engaged, 1 error",
  ]);
});
