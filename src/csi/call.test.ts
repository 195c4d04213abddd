import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import type { sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js";
import { silentLogger } from "../base/log.ts";
import { statusOf, unaryCall } from "./call.ts";
import { MeshStorError } from "../base/errors.ts";

test("the signal aborts before the caller's deadline, so that a sentence is sent", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const until = async (_: unknown, signal: AbortSignal): Promise<never> => {
    await once(signal, "abort");
    throw signal.reason;
  };
  const answered = Promise.withResolvers<unknown>();
  const call = { request: {}, getDeadline: () => 3_000, on: () => {} } as unknown as ServerUnaryCall<unknown, never>;
  const callback: sendUnaryData<never> = (error) => answered.resolve(error);
  unaryCall("Probe", until, { log: silentLogger, stopping: new AbortController().signal })(call, callback);
  await Promise.resolve();
  t.mock.timers.tick(2_699);
  const early = await Promise.race([answered.promise, Promise.resolve("nothing yet")]);
  t.mock.timers.tick(1);
  assert.deepEqual([early, await answered.promise], ["nothing yet", statusOf(new MeshStorError("Waiting", "Probe did not end before the caller's deadline"))]);
});

test("a handler that does not heed the signal is answered for, before the deadline, and goes on", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const work = Promise.withResolvers<never>();
  const answers: unknown[] = [];
  const call = { request: {}, getDeadline: () => 3_000, on: () => {} } as unknown as ServerUnaryCall<unknown, never>;
  const callback: sendUnaryData<never> = (error) => answers.push(error);
  unaryCall("Probe", () => work.promise, { log: silentLogger, stopping: new AbortController().signal })(call, callback);
  const settled = async () => {
    for (let i = 0; i < 10; i += 1) await Promise.resolve();
    return answers.length;
  };
  t.mock.timers.tick(2_700);
  const before = await settled();
  t.mock.timers.tick(150);
  const after = await settled();
  work.reject(new Error("nobody hears this"));
  assert.deepEqual([before, after, await settled(), answers], [0, 1, 1, [statusOf(new MeshStorError("Waiting", "Probe did not end before the caller's deadline"))]]);
});
