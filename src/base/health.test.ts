import assert from "node:assert/strict";
import { test } from "node:test";
import { Health, serveHealth } from "./health.ts";
import { silentLogger } from "./log.ts";

async function ask(port: number, path: string): Promise<[number, string]> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`);
  return [answer.status, await answer.text()];
}

test("it lives from the first moment, is ready when it serves, and says what is wrong, one sentence a line", async () => {
  const stop = new AbortController();
  const health = new Health();
  const { port } = await serveHealth(health, "127.0.0.1:0", silentLogger, stop.signal);
  assert.deepEqual(await ask(port, "/healthz"), [200, "ok\n"]);
  assert.deepEqual(await ask(port, "/readyz"), [503, "the program has just started\n"]);
  health.waits(null);
  let api: string | null = null;
  let socket: string | null = null;
  health.ready(() => api);
  health.live(async () => socket);
  assert.deepEqual(await ask(port, "/readyz"), [200, "ok\n"]);
  api = "the API server does not answer";
  assert.deepEqual(
    [await ask(port, "/healthz"), await ask(port, "/readyz")],
    [
      [200, "ok\n"],
      [503, "the API server does not answer\n"],
    ],
  );
  socket = "nobody answers on the socket";
  assert.deepEqual(
    [await ask(port, "/healthz"), await ask(port, "/readyz")],
    [
      [503, "nobody answers on the socket\n"],
      [503, "nobody answers on the socket\nthe API server does not answer\n"],
    ],
  );
  assert.equal((await ask(port, "/other"))[0], 404);
  stop.abort();
});

test("a check that hangs or fails is a fault, and keeps nobody waiting", async () => {
  const health = new Health(20);
  health.live(() => new Promise<null>(() => {}));
  health.live(() => {
    throw new Error("broken");
  });
  assert.deepEqual(await health.faults("live"), ["a check of the program's state did not end within 20 ms", "a check of the program's state failed: broken"]);
});

test("a place that is none is refused", async () => {
  for (const place of ["", "x:1", "127.0.0.1", "70000", "127.0.0.1:"]) {
    await assert.rejects(serveHealth(new Health(), place, silentLogger, new AbortController().signal), { code: "InvalidParameter" });
  }
});
