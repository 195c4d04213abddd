import assert from "node:assert/strict";
import { test } from "node:test";
import { KubeError, type KubeClient } from "./client.ts";
import { type ElectionTimes, lead } from "./leader.ts";
import type { Lease } from "./resources.ts";
import { keepingLogger, until } from "./testing/fake-server.ts";

const refusal = (status: number, reason: string) => new KubeError({ status, reason, message: reason });
const TIMES: ElectionTimes = { everyMs: 20, leadsMs: 1_000, takenMs: 2_000 };

/** A server with one lease that can be out of reach for a candidate. */
class Server {
  lease: Lease | null = null;
  readonly cut = new Set<string>();
  #version = 0;
  clientOf(who: string): KubeClient {
    const reach = () => {
      if (this.cut.has(who)) throw refusal(0, "Unreachable");
    };
    const store = (lease: Lease) => {
      this.#version += 1;
      this.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(this.#version) } };
      return structuredClone(this.lease);
    };
    return {
      tryGet: async () => (reach(), structuredClone(this.lease)),
      create: async (_type: unknown, lease: Lease) => {
        reach();
        if (this.lease) throw refusal(409, "AlreadyExists");
        return store(lease);
      },
      replace: async (_type: unknown, lease: Lease) => {
        reach();
        if (lease.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) throw refusal(409, "Conflict");
        return store(lease);
      },
    } as unknown as KubeClient;
  }
  candidate(who: string): { stop: AbortController; led: ReturnType<typeof lead> } {
    const stop = new AbortController();
    const led = lead({ client: this.clientOf(who), name: "controller", namespace: "meshstor", identity: who, log: keepingLogger(), signal: stop.signal, times: TIMES });
    return { stop, led };
  }
}

test("one leads; when it gives up the next one leads, without waiting for the lease to run out", async () => {
  const server = new Server();
  const a = server.candidate("a");
  const first = await a.led;
  const b = server.candidate("b");
  await until("a leads", () => server.lease?.spec.holderIdentity === "a");
  a.stop.abort();
  const asked = performance.now();
  await first.ended;
  const second = await b.led;
  assert.ok(performance.now() - asked < TIMES.takenMs);
  assert.deepEqual([server.lease?.spec.holderIdentity, server.lease?.spec.leaseTransitions, server.lease?.spec.leaseDurationSeconds], ["b", 2, 2]);
  b.stop.abort();
  await second.ended;
});

test("a leader that is cut off stops leading before another one takes its place", async () => {
  const server = new Server();
  const a = server.candidate("a");
  const first = await a.led;
  const b = server.candidate("b");
  server.cut.add("a");
  const order: string[] = [];
  const losing = first.lost.catch((error: Error) => void order.push(`a: ${error.message}`));
  const second = await b.led.then((leadership) => (order.push("b leads"), leadership));
  await losing;
  assert.deepEqual(order, ["a: this controller leads no longer: the lease controller could not be renewed for 1 s", "b leads"]);
  b.stop.abort();
  await second.ended;
});

test("a candidate that is told to stop stands no longer", async () => {
  const server = new Server();
  const a = server.candidate("a");
  const first = await a.led;
  const b = server.candidate("b");
  b.stop.abort(new Error("SIGTERM"));
  await assert.rejects(b.led, { message: "SIGTERM" });
  a.stop.abort();
  await first.ended;
});
