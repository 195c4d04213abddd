import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import type { MeshStorVolume } from "../api/volume.ts";
import { createKubeClient, KubeError, parseWatchLine, type KubeClient } from "./client.ts";
import { DEVICES, LEASES, NODES, VOLUMES } from "./resources.ts";
import { answer, failure, FakeServer, refuse } from "./testing/fake-server.ts";

const volume = (name: string, resourceVersion?: string) =>
  ({ apiVersion: "csi.meshstor.io/v1alpha1", kind: "MeshStorVolume", metadata: { name, ...(resourceVersion && { resourceVersion }) }, spec: {} }) as unknown as MeshStorVolume;

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
const seen = () => server.requests.map(({ method, path, query, body }) => ({ method, path, query, body }));

describe("requests", () => {
  test("a read asks for no resource version and carries the token", async () => {
    server.script.push(answer(200, volume("v")));
    assert.deepEqual(await client.get(VOLUMES, "v"), volume("v"));
    assert.deepEqual(seen(), [{ method: "GET", path: "/base/apis/csi.meshstor.io/v1alpha1/meshstorvolumes/v", query: {}, body: null }]);
    assert.equal(server.requests[0]!.headers.authorization, "Bearer first");
  });

  test("tryGet is null for 404 only", async () => {
    server.script.push(refuse(404, "NotFound"), refuse(403, "Forbidden"));
    assert.equal(await client.tryGet(VOLUMES, "v"), null);
    const { status, reason, isNotFound } = await failure(client.tryGet(VOLUMES, "v"));
    assert.deepEqual([status, reason, isNotFound], [403, "Forbidden", false]);
  });

  test("a list is fetched in pages; items carry kind and apiVersion", async () => {
    server.script.push(
      answer(200, { metadata: { resourceVersion: "7", continue: "more" }, items: [{ metadata: { name: "a" } }] }),
      answer(200, { metadata: { resourceVersion: "7" }, items: [{ metadata: { name: "b" } }] }),
    );
    const named = (name: string) => ({ apiVersion: "csi.meshstor.io/v1alpha1", kind: "MeshStorNodeDevice", metadata: { name } });
    assert.deepEqual(await client.list(DEVICES, { labelSelector: "a=b" }), { items: [named("a"), named("b")], resourceVersion: "7" });
    assert.deepEqual(
      seen().map((request) => request.query),
      [
        { limit: "500", labelSelector: "a=b" },
        { limit: "500", continue: "more", labelSelector: "a=b" },
      ],
    );
  });

  test("a list whose position expired begins again", async () => {
    server.script.push(
      answer(200, { metadata: { resourceVersion: "7", continue: "more" }, items: [{ metadata: { name: "old" } }] }),
      refuse(410, "Expired"),
      answer(200, { metadata: { resourceVersion: "9" }, items: null }),
    );
    assert.deepEqual(await client.list(VOLUMES), { items: [], resourceVersion: "9" });
  });

  test("writes: paths, bodies, content types", async () => {
    const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "l", namespace: "meshstor", resourceVersion: "1" }, spec: {} } as const;
    for (let i = 0; i < 6; i += 1) server.script.push(answer(200, {}));
    await client.create(LEASES, lease);
    await client.replace(LEASES, lease);
    await client.replaceStatus(VOLUMES, volume("v", "3"));
    await client.mergePatch(VOLUMES, "v", { spec: { numberOfCopies: 3 } });
    await client.patchStatus(NODES, "n", { conditions: [] });
    await client.remove(VOLUMES, "v", { uid: "u-1" });
    const leases = "/base/apis/coordination.k8s.io/v1/namespaces/meshstor/leases";
    const volumes = "/base/apis/csi.meshstor.io/v1alpha1/meshstorvolumes";
    assert.deepEqual(seen(), [
      { method: "POST", path: leases, query: {}, body: lease },
      { method: "PUT", path: `${leases}/l`, query: {}, body: lease },
      { method: "PUT", path: `${volumes}/v/status`, query: {}, body: volume("v", "3") },
      { method: "PATCH", path: `${volumes}/v`, query: {}, body: { spec: { numberOfCopies: 3 } } },
      { method: "PATCH", path: "/base/api/v1/nodes/n/status", query: {}, body: { status: { conditions: [] } } },
      { method: "DELETE", path: `${volumes}/v`, query: {}, body: { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Background", preconditions: { uid: "u-1" } } },
    ]);
    assert.deepEqual(
      server.requests.map((request) => request.headers["content-type"]),
      ["application/json", "application/json", "application/json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/json"],
    );
  });

  test("a replace without a resource version is never sent", async () => {
    await assert.rejects(client.replace(VOLUMES, volume("v")), /has no metadata.resourceVersion/);
    assert.deepEqual(seen(), []);
  });

  for (const name of ["", ".", ".."]) {
    test(`${JSON.stringify(name)} is no name`, async () => {
      await assert.rejects(client.get(VOLUMES, name), /is not a name/);
    });
  }

  test("a slash in a name stays in the name", async () => {
    await failure(client.get(VOLUMES, "../nodes"));
    assert.equal(seen()[0]!.path, "/base/apis/csi.meshstor.io/v1alpha1/meshstorvolumes/..%2Fnodes");
  });

  test("over IPv6", async () => {
    const six = await FakeServer.start("::1");
    six.script.push(answer(200, volume("v")));
    const other = createKubeClient({ server: six.url });
    assert.deepEqual(await other.get(VOLUMES, "v"), volume("v"));
    assert.equal(six.requests[0]!.headers.host, new URL(six.url).host);
    other.close();
    await six.stop();
  });
});

describe("parseWatchLine", () => {
  test("events and bookmarks", () => {
    const object = { metadata: { name: "a", resourceVersion: "5" }, x: 1 };
    assert.deepEqual(parseWatchLine(JSON.stringify({ type: "MODIFIED", object })), { type: "MODIFIED", object });
    assert.deepEqual(parseWatchLine(JSON.stringify({ type: "BOOKMARK", object: { metadata: { resourceVersion: "9" } } })), { type: "BOOKMARK", resourceVersion: "9" });
  });

  test("an error event", () => {
    const line = JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" } });
    assert.throws(() => parseWatchLine(line), { name: "KubeError", status: 410, reason: "Expired", message: "the watch ended: too old resource version" });
  });

  test("property: whatever the line, an event or a KubeError", () => {
    const lines = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({ type: fc.constantFrom("ADDED", "BOOKMARK", "ERROR", "X"), object: fc.oneof(fc.jsonValue(), fc.record({ metadata: fc.jsonValue() })) })
        .map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(lines, (line) => {
        try {
          assert.ok(["ADDED", "MODIFIED", "DELETED", "BOOKMARK"].includes(parseWatchLine(line).type));
        } catch (error) {
          assert.ok(error instanceof KubeError, String(error));
        }
      }),
    );
  });
});
