import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { KubeError, type KubeClient } from "./client.ts";
import { LeaseObserver, LeaseRenewer, microTime } from "./lease.ts";
import type { Lease } from "./resources.ts";
import { keepingLogger, until } from "./testing/fake-server.ts";

const refusal = (status: number, reason: string) => new KubeError({ status, reason, message: reason });

/** A server with one lease; `fail` is thrown by the next calls. */
class Leases {
  lease: Lease | null = null;
  version = 0;
  calls: string[] = [];
  fail: KubeError[] = [];
  #store(lease: Lease): Lease {
    this.version += 1;
    this.lease = { ...lease, metadata: { ...lease.metadata, uid: "u", resourceVersion: String(this.version) } };
    return structuredClone(this.lease);
  }
  #call(name: string): void {
    this.calls.push(name);
    const error = this.fail.shift();
    if (error) throw error;
  }
  readonly client = {
    tryGet: async () => {
      this.#call("get");
      return structuredClone(this.lease);
    },
    create: async (_type: unknown, lease: Lease) => {
      this.#call("create");
      if (this.lease) throw refusal(409, "AlreadyExists");
      return this.#store(lease);
    },
    replace: async (_type: unknown, lease: Lease) => {
      this.#call("replace");
      if (!this.lease) throw refusal(404, "NotFound");
      if (lease.metadata.resourceVersion !== this.lease.metadata.resourceVersion) throw refusal(409, "Conflict");
      return this.#store(lease);
    },
  } as unknown as KubeClient;
}
function renewer(server: Leases, holder = "boot-1", intervalMs = 10_000): LeaseRenewer {
  return new LeaseRenewer({ client: server.client, name: "node-a", holder, log: keepingLogger(), intervalMs });
}

describe("renewing", () => {
  test("made once, then one write a time and no read", async () => {
    const server = new Leases();
    const mine = renewer(server);
    assert.equal(mine.ageMs(), Infinity);
    for (let i = 0; i < 3; i += 1) await mine.renew();
    assert.deepEqual(server.calls, ["get", "create", "replace", "replace"]);
    const { renewTime, acquireTime, ...spec } = server.lease!.spec;
    assert.deepEqual(
      [server.lease!.metadata, spec],
      [
        { name: "node-a", namespace: "meshstor", uid: "u", resourceVersion: "3" },
        { holderIdentity: "boot-1", leaseDurationSeconds: 40, leaseTransitions: 0 },
      ],
    );
    assert.match(renewTime!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.ok(renewTime! >= acquireTime!);
    assert.ok(mine.ageMs() < 1000);
  });

  test("a new holder is a transition", async () => {
    const server = new Leases();
    await renewer(server).renew();
    await renewer(server, "boot-2").renew();
    assert.deepEqual([server.lease!.spec.holderIdentity, server.lease!.spec.leaseTransitions], ["boot-2", 1]);
  });

  test("changed or deleted by somebody: read again and written in the same renewal", async () => {
    const server = new Leases();
    const mine = renewer(server);
    await mine.renew();
    server.lease!.metadata.resourceVersion = "99";
    server.calls = [];
    await mine.renew();
    assert.deepEqual(server.calls, ["replace", "get", "replace"]);
    server.lease = null;
    server.calls = [];
    await mine.renew();
    assert.deepEqual(server.calls, ["replace", "get", "create"]);
  });

  test("an outage is said once, and so is its end", async () => {
    const server = new Leases();
    const log = keepingLogger();
    const mine = new LeaseRenewer({ client: server.client, name: "node-a", holder: "b", log, intervalMs: 10 });
    server.fail = Array.from({ length: 4 }, () => refusal(503, "ServiceUnavailable"));
    mine.start();
    await until("a lease", () => server.lease !== null);
    await until("two more renewals", () => server.version >= 3);
    await mine.stop();
    const { version } = server;
    assert.deepEqual(
      log.lines.map((line) => line.msg),
      ["the node's lease cannot be renewed", "the node's lease is renewed again"],
    );
    await new Promise((done) => setTimeout(done, 30));
    assert.equal(server.version, version, "nothing is written after stop");
  });
});

describe("observing", () => {
  const lease = (renewTime: string, holderIdentity = "h"): Lease => ({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "node-a", namespace: "meshstor", uid: "u" },
    spec: { holderIdentity, renewTime },
  });

  test("age since the last change that was seen, whatever the times inside say", () => {
    let now = 0;
    const observer = new LeaseObserver(() => now);
    assert.equal(observer.ageMs("node-a"), null);
    now = 1000;
    observer.observe("node-a", lease("2020-01-01T00:00:00.000000Z"));
    now = 4000;
    assert.equal(observer.ageMs("node-a"), 3000);
    observer.observe("node-a", lease("2020-01-01T00:00:00.000000Z"));
    assert.equal(observer.ageMs("node-a"), 3000);
    observer.observe("node-a", lease("2019-01-01T00:00:00.000000Z"));
    assert.equal(observer.ageMs("node-a"), 0);
    observer.observe("node-a", null);
    assert.equal(observer.ageMs("node-a"), null);
  });

  test("a gap in the observation makes nobody older", () => {
    let now = 0;
    const observer = new LeaseObserver(() => now);
    observer.observe("node-a", lease("t"));
    now = 300_000;
    observer.restart();
    now = 305_000;
    assert.equal(observer.ageMs("node-a"), 5000);
  });
});

test("microTime", () => {
  assert.equal(microTime(new Date(1_700_000_000_123)), "2023-11-14T22:13:20.123000Z");
});
