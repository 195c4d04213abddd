import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test, type TestContext } from "node:test";
import type { MeshStorVolume } from "../api/volume.ts";
import { createKubeClient, type KubeClient, type KubeError } from "./client.ts";
import { VOLUMES } from "./resources.ts";
import { answer, failure, FakeServer, type Play, refuse } from "./testing/fake-server.ts";

const volume = (name: string, resourceVersion?: string) =>
  ({ apiVersion: "csi.meshstor.io/v1alpha1", kind: "MeshStorVolume", metadata: { name, ...(resourceVersion && { resourceVersion }) }, spec: {} }) as unknown as MeshStorVolume;

const facts = ({ status, reason, ambiguous, isNotFound, isConflict, isAlreadyExists, isUnavailable }: KubeError) => ({
  status,
  reason,
  ambiguous,
  isNotFound,
  isConflict,
  isAlreadyExists,
  isUnavailable,
});

let server: FakeServer;
let client: KubeClient;
let tokens: string[];
before(async () => {
  server = await FakeServer.start();
});
beforeEach(() => {
  server.requests.length = 0;
  server.script.length = 0;
  tokens = ["first", "second", "third"];
  client?.close();
  client = createKubeClient({ server: `${server.url}/base/`, token: () => tokens[0]!, refresh: () => void tokens.shift() });
});
after(async () => {
  client.close();
  await server.stop();
});

/** The failure of a request whose time is over once the server has it; nobody waits for that time. */
async function timeout(t: TestContext, call: (timeoutMs: number) => Promise<unknown>, play: Play = () => {}): Promise<KubeError> {
  const asked = Promise.withResolvers<void>();
  server.script.push((...exchange) => {
    play(...exchange);
    asked.resolve();
  });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const failed = failure(call(1_000));
  await asked.promise;
  t.mock.timers.tick(1_000);
  t.mock.timers.reset();
  return failed;
}

describe("failures", () => {
  test("401: once more with the token read anew, a write too; then it is an error", async () => {
    server.script.push(refuse(401, "Unauthorized"), answer(201, volume("v")), refuse(401, "Unauthorized"), refuse(401, "Unauthorized"));
    await client.create(VOLUMES, volume("v"));
    assert.equal((await failure(client.get(VOLUMES, "v"))).status, 401);
    assert.deepEqual(
      server.requests.map((request) => request.headers.authorization),
      ["Bearer first", "Bearer second", "Bearer second", "Bearer third"],
    );
  });

  test("conflict and already-exists are told apart", async () => {
    server.script.push(refuse(409, "Conflict"), refuse(409, "AlreadyExists"));
    assert.deepEqual(facts(await failure(client.replace(VOLUMES, volume("v", "1")))), {
      status: 409,
      reason: "Conflict",
      ambiguous: false,
      isNotFound: false,
      isConflict: true,
      isAlreadyExists: false,
      isUnavailable: false,
    });
    assert.deepEqual(facts(await failure(client.create(VOLUMES, volume("v")))), {
      status: 409,
      reason: "AlreadyExists",
      ambiguous: false,
      isNotFound: false,
      isConflict: false,
      isAlreadyExists: true,
      isUnavailable: false,
    });
  });

  test("Retry-After from the header and from the status object", async () => {
    server.script.push(refuse(429, "TooManyRequests", { "retry-after": "3" }), refuse(503, "ServiceUnavailable", {}, { retryAfterSeconds: 2 }), refuse(500, "InternalError"));
    const errors = [await failure(client.get(VOLUMES, "v")), await failure(client.get(VOLUMES, "v")), await failure(client.get(VOLUMES, "v"))];
    assert.deepEqual(
      errors.map((error) => [error.isUnavailable, error.retryAfterMs]),
      [
        [true, 3000],
        [true, 2000],
        [true, undefined],
      ],
    );
  });

  test("a proxy's page is quoted", async () => {
    server.script.push((response) => void response.writeHead(502).end("<html>bad gateway</html>"));
    assert.equal((await failure(client.get(VOLUMES, "v"))).message, "GET /apis/csi.meshstor.io/v1alpha1/meshstorvolumes/v: 502 <html>bad gateway</html>");
  });

  test("5xx to a write leaves it in doubt, to a read not", async () => {
    server.script.push(refuse(504, "Timeout"), refuse(504, "Timeout"), refuse(429, "TooManyRequests"));
    assert.equal((await failure(client.replace(VOLUMES, volume("v", "1")))).ambiguous, true);
    assert.equal((await failure(client.get(VOLUMES, "v"))).ambiguous, false);
    assert.equal((await failure(client.replace(VOLUMES, volume("v", "1")))).ambiguous, false);
  });

  test("no answer in time", async (t) => {
    assert.deepEqual(facts(await timeout(t, (timeoutMs) => client.get(VOLUMES, "v", { timeoutMs }))), {
      status: 0,
      reason: "Timeout",
      ambiguous: false,
      isNotFound: false,
      isConflict: false,
      isAlreadyExists: false,
      isUnavailable: true,
    });
    assert.deepEqual(facts(await timeout(t, (timeoutMs) => client.replaceStatus(VOLUMES, volume("v", "1"), { timeoutMs }))), {
      status: 0,
      reason: "Timeout",
      ambiguous: true,
      isNotFound: false,
      isConflict: false,
      isAlreadyExists: false,
      isUnavailable: true,
    });
  });

  test("an answer that begins and never ends", async (t) => {
    const begins: Play = (response) => void response.writeHead(200).write('{"a":');
    assert.equal((await timeout(t, (timeoutMs) => client.get(VOLUMES, "v", { timeoutMs }), begins)).reason, "Timeout");
  });

  test("a connection lost in the middle of an answer", async () => {
    const cut = (response: import("node:http").ServerResponse): void => {
      response.writeHead(200, { "content-length": "100" }).write('{"a":');
      setTimeout(() => response.destroy(), 10);
    };
    server.script.push(cut, cut);
    assert.deepEqual(facts(await failure(client.get(VOLUMES, "v"))), {
      status: 0,
      reason: "Unreachable",
      ambiguous: false,
      isNotFound: false,
      isConflict: false,
      isAlreadyExists: false,
      isUnavailable: true,
    });
    assert.equal((await failure(client.create(VOLUMES, volume("v")))).ambiguous, true);
  });

  test("an answer that is not JSON", async () => {
    server.script.push((response) => void response.end("hello"));
    assert.deepEqual(facts(await failure(client.create(VOLUMES, volume("v")))), {
      status: 0,
      reason: "Garbage",
      ambiguous: true,
      isNotFound: false,
      isConflict: false,
      isAlreadyExists: false,
      isUnavailable: true,
    });
  });

  test("nobody listens: the write was not sent", async () => {
    const gone = await FakeServer.start();
    const other = createKubeClient({ server: gone.url });
    await gone.stop();
    const error = await failure(other.create(VOLUMES, volume("v")));
    assert.deepEqual([error.status, error.reason, error.ambiguous], [0, "Unreachable", false]);
  });

  test("a kept-alive connection that was closed meanwhile: a read is repeated, a write is in doubt", async () => {
    const drop = (_response: unknown, _request: unknown, socket: import("node:net").Socket): void => void socket.resetAndDestroy();
    server.script.push(answer(200, volume("v")), drop, answer(200, volume("v")), drop);
    await client.get(VOLUMES, "v");
    await client.get(VOLUMES, "v");
    assert.equal(server.requests.length, 3);
    assert.equal((await failure(client.replace(VOLUMES, volume("v", "1")))).ambiguous, true);
  });

  test("cancelled before and during", async () => {
    assert.equal((await failure(client.get(VOLUMES, "v", { signal: AbortSignal.abort() }))).reason, "Cancelled");
    const later = new AbortController();
    server.script.push(() => later.abort());
    const error = await failure(client.create(VOLUMES, volume("v"), { signal: later.signal }));
    assert.deepEqual([error.reason, error.ambiguous], ["Cancelled", true]);
  });

  test("credentials that cannot be read", async () => {
    const other = createKubeClient({
      server: server.url,
      token: () => {
        throw new Error("no such file");
      },
    });
    const error = await failure(other.get(VOLUMES, "v"));
    assert.deepEqual([error.status, error.message], [0, "no credentials for the API server: no such file"]);
  });

  test("one connection serves many requests", async () => {
    server.fallback = answer(200, volume("v"));
    const before = server.connections;
    for (let i = 0; i < 5; i += 1) await client.get(VOLUMES, "v");
    assert.ok(server.connections <= before + 1);
  });
});
