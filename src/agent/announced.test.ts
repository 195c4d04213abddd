import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshStorError } from "../base/errors.ts";
import { Announced, ANNOUNCED_MS } from "./announced.ts";

const connect = (attach: number) => ({
  kind: "Connect" as const,
  nqn: `nqn:a${attach}`,
  partitionUUID: "b",
  address: "10.0.0.2",
  port: 4420,
  why: "node b exports the member for epoch 2",
});
const refused = new MeshStorError("CommandFailed", "'nvme connect …' failed with exit code 1: connection refused");

test("a connect that is refused is a wait at first, a failure later; every export has its own time", () => {
  const announced = new Announced();
  const at = (attach: number, nowMs: number) => announced.explain(connect(attach), refused, nowMs);
  assert.deepEqual(
    [at(1, 1_000), at(1, 900 + ANNOUNCED_MS), at(1, 1_000 + ANNOUNCED_MS), at(2, 1_000 + ANNOUNCED_MS)].map(({ code, message }) => `${code}: ${message}`),
    [
      "Waiting: node b exports the member for epoch 2: announced, and not offered yet at 10.0.0.2 port 4420",
      "Waiting: node b exports the member for epoch 2: announced, and not offered yet at 10.0.0.2 port 4420",
      `CommandFailed: ${refused.message}`,
      "Waiting: node b exports the member for epoch 2: announced, and not offered yet at 10.0.0.2 port 4420",
    ],
  );
});

test("another failure of a connect, and a failure of something else, stay what they are", () => {
  const late = new MeshStorError("CommandTimedOut", "no namespace after 10 s");
  const disconnect = { kind: "Disconnect" as const, controller: "nvme4", nqn: "nqn:a1", why: "given up" };
  const announced = new Announced();
  assert.deepEqual([announced.explain(connect(1), late, 0), announced.explain(disconnect, refused, 0)], [late, refused]);
});
