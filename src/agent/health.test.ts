import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Health } from "../base/health.ts";
import { reportHealth } from "./health.ts";

test("a silent API is no reason to restart; a socket that is gone is", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshstor-health-"));
  const socket = join(folder, "csi.sock");
  const server = createServer((each) => each.destroy());
  await new Promise<void>((done) => server.listen(socket, done));
  const ages = { volumes: 0, lease: Number.POSITIVE_INFINITY };
  const health = new Health();
  reportHealth({ health, endpoint: `unix://${socket}`, volumes: { ageMs: () => ages.volumes }, lease: { ageMs: () => ages.lease } });
  assert.deepEqual([await health.faults("live"), await health.faults("ready")], [[], ["this node's heartbeat was not renewed yet"]]);
  Object.assign(ages, { volumes: 80_000, lease: 1_000 });
  assert.deepEqual(
    [await health.faults("live"), await health.faults("ready")],
    [[], ["the API server was not heard of for 80 s; what runs goes on running, and a loss waits for it"]],
  );
  ages.volumes = 0;
  await new Promise<void>((done) => server.close(() => done()));
  assert.deepEqual([await health.faults("live"), await health.faults("ready")], [[`nobody answers on unix://${socket}`], [`nobody answers on unix://${socket}`]]);
  rmSync(folder, { recursive: true });
});
