/**
 * The lab as a command: every command of docs/how-to/lab.md runs as it is written, and nothing is left after the last.
 * The page itself waits with `kubectl wait` for what it promises.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { namespacesOnMachine } from "../../lab/net/namespace.ts";
import { takeSlot } from "../../lab/slots.ts";
import { labDir } from "../../lab/state.ts";
import { ROOT } from "../../tools/test/command.ts";

const LIMIT_MS = 240_000;
const PAGE = "docs/how-to/lab.md";
const id = `doc-${randomBytes(3).toString("hex")}`;

/** The lines of the page's shell blocks. */
function commands(): string[] {
  const blocks = [...readFileSync(join(ROOT, PAGE), "utf8").matchAll(/^```sh\n([\s\S]*?)^```/gm)];
  return blocks.flatMap((block) => block[1]!.split("\n")).filter((line) => line !== "");
}

/** Runs one line; stdout is returned, and with stderr part of the error. */
function run(line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn("bash", ["-c", line], { cwd: ROOT, env: { ...process.env, MESHSTOR_LAB: id }, stdio: ["ignore", "pipe", "pipe"], timeout: LIMIT_MS });
    let [out, all] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (all += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve(out) : reject(new Error(`"${line}" ended with ${code}:\n${all}`))));
  });
}

// A lab of the command belongs to nobody and takes no slot; this one is a test's.
const freeSlot = await takeSlot();
after(() => {
  if (existsSync(labDir(id))) execFileSync(join(ROOT, "tools/node"), ["lab/main.ts", "down"], { cwd: ROOT, env: { ...process.env, MESHSTOR_LAB: id } });
  freeSlot();
});

test("the page's commands", async (t) => {
  const lines = commands();
  assert.deepEqual([lines[0], lines.at(-1)], ["npm run lab -- up", "npm run lab -- down"]);
  const said = new Map<string, string>();
  for (const line of lines) {
    const begun = performance.now();
    said.set(line, await run(line));
    t.diagnostic(`${((performance.now() - begun) / 1000).toFixed(1)} s: ${line}`);
  }
  const read = lines.find((line) => line.includes("shell n3 cat"))!;
  assert.match(said.get(read)!, /^first\nsecond$/m);
});

test("nothing is left", async () => {
  assert.deepEqual([existsSync(labDir(id)), (await namespacesOnMachine()).includes(id)], [false, false]);
});
