import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ROOTS } from "../files.ts";
import { clearResyncStart } from "./resync-start.ts";

const before = ROOTS.sys;
ROOTS.sys = mkdtempSync(join(tmpdir(), "sys-"));
after(() => {
  rmSync(ROOTS.sys, { recursive: true });
  ROOTS.sys = before;
});

/** Clears an array that shows these; returns what was written. `takes`: whether it takes a new start. */
async function cleared(start: string, action: string, takes = true): Promise<string[]> {
  const folder = join(ROOTS.sys, "class/block/md_x/md");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "resync_start"), `${start}\n`);
  writeFileSync(join(folder, "sync_action"), `${action}\n`);
  const written: string[] = [];
  await clearResyncStart("md_x", async (_, attribute, value) => {
    written.push(`${attribute} ${value}`);
    if (takes) writeFileSync(join(folder, attribute), `${value}\n`);
  });
  return written;
}

test("a start is cleared while syncs are frozen; nothing is written where there is none; an array left frozen goes on", async () => {
  const all = ["sync_action frozen", "resync_start none", "sync_action idle"];
  assert.deepEqual([await cleared("8192", "idle"), await cleared("none", "idle"), await cleared("none", "frozen")], [all, [], all]);
});

test("a start that stays is refused", async () => {
  await assert.rejects(cleared("8192", "idle", false), /resync_start is 8192/);
});
