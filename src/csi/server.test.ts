import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { MeshStorError } from "../base/errors.ts";
import { silentLogger } from "../base/log.ts";
import { bindService, type Handlers } from "./adapter.ts";
import { Identity } from "./gen/csi_pb.ts";
import { identityService } from "./identity.ts";
import { serve } from "./server.ts";
import { codeOf, refusalOf, testClient, withServer } from "./test-client.ts";

let folder = "";
before(async () => void (folder = await mkdtemp(join(tmpdir(), "meshstor-server-"))));
after(() => rm(folder, { recursive: true, force: true }));

const probing = (probe: NonNullable<Handlers<typeof Identity>["probe"]>) => bindService(Identity, { probe });

test("the Identity service answers in both roles alike", () =>
  withServer(Identity, identityService({ version: "1.2.3", ready: () => true }), async (client) => {
    const info = await client.call("getPluginInfo", {});
    assert.deepEqual([info.name, info.vendorVersion], ["io.meshstor.csi.mesh", "1.2.3"]);
    const { capabilities } = await client.call("getPluginCapabilities", {});
    assert.deepEqual(
      capabilities.map((c) => [c.type.case, c.type.value?.type]),
      [
        ["service", 1],
        ["service", 2],
        ["volumeExpansion", 1],
      ],
    );
    assert.equal((await client.call("probe", {})).ready, true);
  }));

test("a rejected handler answers with its row of the error table, and the server lives on", async () => {
  let calls = 0;
  const probe = async () => {
    calls += 1;
    if (calls === 1) throw new MeshStorError("NoCapacity", "node n1 is full");
    if (calls === 2) throw new TypeError("x is not a function\nat line 2");
    return { ready: true };
  };
  await withServer(Identity, probing(probe), async (client) => {
    assert.deepEqual(await refusalOf(client.call("probe", {})), {
      code: "RESOURCE_EXHAUSTED",
      details: "node n1 is full. See 'kubectl get msnd' for free space; add drives or nodes, or delete volumes.",
    });
    assert.deepEqual((await refusalOf(client.call("probe", {}))).code, "INTERNAL");
    assert.equal((await client.call("probe", {})).ready, true);
  });
});

test("a synchronous throw and text that cannot be encoded are answered too", async () => {
  const probe = () => {
    throw new MeshStorError("InvalidParameter", `bad \ud800 \u0000 name "é"`);
  };
  await withServer(Identity, probing(probe), async (client) => {
    assert.equal(await codeOf(client.call("probe", {})), "INVALID_ARGUMENT");
  });
});

test("a method without a handler is UNIMPLEMENTED", () =>
  withServer(
    Identity,
    probing(() => ({})),
    async (client) => assert.equal(await codeOf(client.call("getPluginInfo", {})), "UNIMPLEMENTED"),
  ));

test("a caller that goes away aborts the signal", async () => {
  const aborted = Promise.withResolvers<unknown>();
  const cancel = new AbortController();
  const probe = async (_: unknown, signal: AbortSignal) => {
    signal.addEventListener("abort", () => aborted.resolve(signal.reason));
    cancel.abort();
    await sleep(60_000, undefined, { signal });
    return {};
  };
  await withServer(Identity, probing(probe), async (client) => {
    assert.equal(await codeOf(client.call("probe", {}, { signal: cancel.signal })), "CANCELLED");
    assert.match(String(await aborted.promise), /was cancelled by the caller/);
  });
});

test("the socket that a killed process left behind is removed", async () => {
  const path = join(folder, "stale.sock");
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", script]), "exit");
  await access(path);
  const stop = new AbortController();
  const server = await serve({ endpoint: `unix://${path}`, services: [identityService({ version: "1", ready: () => true })], log: silentLogger, signal: stop.signal });
  const client = testClient(Identity, path);
  assert.equal((await client.call("probe", {})).ready, true);
  client.close();
  stop.abort();
  await server.closed;
  await assert.rejects(access(path), "a clean stop removes the socket");
});

test("a socket on which somebody answers, a file, and a path that is too long are refused", async () => {
  const options = { services: [identityService({ version: "1", ready: () => true })], log: silentLogger };
  const stop = new AbortController();
  const path = join(folder, "used.sock");
  const first = await serve({ ...options, endpoint: `unix://${path}`, signal: stop.signal });
  await assert.rejects(serve({ ...options, endpoint: `unix://${path}`, signal: stop.signal }), /another program answers on/);
  const file = join(folder, "file");
  await writeFile(file, "precious");
  await assert.rejects(serve({ ...options, endpoint: `unix://${file}`, signal: stop.signal }), /exists and is not a socket/);
  await access(file);
  await assert.rejects(serve({ ...options, endpoint: `unix:///${"x".repeat(110)}`, signal: stop.signal }), /at most 107/);
  await assert.rejects(serve({ ...options, endpoint: "tcp://0.0.0.0:1", signal: stop.signal }), /not of the form unix/);
  stop.abort();
  await first.closed;
});

test("told to stop, the server lets calls end, interrupts those that do not, and goes", async () => {
  const path = join(folder, "drain.sock");
  const stop = new AbortController();
  let n = 0;
  const both = Promise.withResolvers<void>();
  const probe = async (_: unknown, signal: AbortSignal) => {
    n += 1;
    const first = n === 1;
    if (!first) both.resolve();
    // The first one ends once it was told to stop.
    await (first ? once(stop.signal, "abort") : sleep(60_000, undefined, { signal }));
    return { ready: true };
  };
  const server = await serve({ endpoint: `unix://${path}`, services: [probing(probe)], log: silentLogger, signal: stop.signal, drainMs: 1500 });
  const client = testClient(Identity, path);
  const quick = client.call("probe", {});
  const slow = refusalOf(client.call("probe", {}));
  await both.promise;
  stop.abort();
  assert.equal((await quick).ready, true);
  assert.match((await slow).details, /the program stops/);
  await server.closed;
  client.close();
});
