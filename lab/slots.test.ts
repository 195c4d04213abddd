import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { takeSlot } from "./slots.ts";

test("who waits for a slot says who holds them, once", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "lab-slots-"));
  const env = { MESHSTOR_LABS: join(dir, "labs"), MESHSTOR_LABS_AT_ONCE: "1" };
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, env);
  t.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(dir, { recursive: true });
  });

  const said: string[] = [];
  const free = await takeSlot((line) => said.push(line));
  const { promise: told, resolve } = Promise.withResolvers<void>();
  const second = takeSlot((line) => {
    said.push(line);
    resolve();
  });
  await told;
  free();
  (await second)();
  assert.equal(said.length, 1);
  assert.match(said[0]!, new RegExp(`^waiting for a slot: 1 lab at a time runs on this machine; held by process ${process.pid} \\(.*slots\\.test\\.ts.*\\)$`));
});
